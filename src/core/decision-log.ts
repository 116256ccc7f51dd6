/** What the authorizer has said, kept for those who look after the policies. */
import type { Decision } from './instance.js';
import type { AuthorizationRequest } from './ports.js';

export interface RecordedDecision {
  /** Of the first of them; milliseconds since the epoch. */
  readonly at: number;
  readonly request: AuthorizationRequest;
  readonly decision: Decision;
  /** How often the same was asked, and answered the same, shortly after one another; or how many rows of a list were decided so. */
  readonly count: number;
}

/**
 * Where decisions are kept, beside those that stand in the histories of instances. `saveDecisions` resolves once they are on disk.
 * `decisions` yields those from `since` on in batches, oldest first. `dropDecisions` forgets those before.
 */
export interface DecisionBook {
  saveDecisions(decisions: readonly RecordedDecision[]): Promise<void>;
  decisions(since: number): AsyncIterable<readonly RecordedDecision[]>;
  dropDecisions(before: number): Promise<void>;
}

/** One recorded request that other policies answer otherwise. */
export interface Flip {
  readonly at: number;
  readonly count: number;
  readonly request: AuthorizationRequest;
  readonly was: Decision;
  readonly wouldBe: Decision;
}

export interface WhatIfReport {
  /** Recorded requests that were put to the candidate, and decisions that they stand for. */
  readonly requests: number;
  readonly decisions: number;
  /** Oldest first; a thousand at most. */
  readonly flips: readonly Flip[];
  /** All of them, by direction, counted as decisions. */
  readonly newlyDenied: number;
  readonly newlyAllowed: number;
  /** Not everything recorded was looked at: there was too much. */
  readonly isCut: boolean;
}

/** A file of a policy directory. */
export interface PolicyFile {
  readonly name: string;
  readonly text: string;
}

export interface WhatIfApi {
  /** Puts what was decided since then to the candidate. Throws `policy_invalid`, `unauthorized`. */
  whatIf(files: readonly PolicyFile[], since: number): Promise<WhatIfReport>;
}
