/**
 * A backup: JSON lines, compressed. The first says what it is, the last how many there are and what they hash to, so that one that was
 * cut off is known. Everything in it is as the ports hand it out, so it can be restored into any store.
 */

import type { Anchor } from '../core/attic.js';
import type { RecordedDecision } from '../core/decision-log.js';
import type { Entry } from '../core/events.js';
import type { ApiToken } from '../core/identities.js';
import type { WorkflowInstance } from '../core/instance.js';
import type { Digest, InstanceId } from '../core/names.js';
import type { TriggerMark } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';

export const FORMAT = 'vapora-backup';
export const FORMAT_VERSION = 1;
/** Content is cut into pieces of so many bytes: a line must not be as long as an artifact. */
export const PIECE_BYTES = 192 * 1_024;
/** A whole commit, or a state, with room: what is longer was not written by us. */
export const MAX_LINE_CHARACTERS = 256 * 1_024 * 1_024;

export type BackupLine =
  | {
      readonly kind: 'begin';
      readonly format: string;
      readonly version: number;
      readonly at: number;
      readonly by: string;
    }
  | { readonly kind: 'mark'; readonly mark: TriggerMark }
  | { readonly kind: 'token'; readonly token: ApiToken }
  | { readonly kind: 'decisions'; readonly decisions: readonly RecordedDecision[] }
  | { readonly kind: 'template'; readonly template: WorkflowTemplate }
  /** Pieces of one content follow each other; base64. */
  | { readonly kind: 'content'; readonly digest: Digest; readonly isLast: boolean; readonly piece: string }
  /** Entries of one instance follow each other, and then it. */
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'instance'; readonly head: Digest; readonly instance: WorkflowInstance }
  /** In the place of an instance whose history is not whole. */
  | { readonly kind: 'broken'; readonly id: InstanceId; readonly reason: string }
  | { readonly kind: 'anchor'; readonly anchor: Anchor }
  | { readonly kind: 'end'; readonly lines: number; readonly sha256: string };

export interface BackupSummary {
  /** When it was begun; milliseconds since the epoch. */
  readonly at: number;
  readonly instances: number;
  readonly entries: number;
  readonly contents: number;
  /** Instances that are not in it. */
  readonly broken: readonly { readonly id: InstanceId; readonly reason: string }[];
}
