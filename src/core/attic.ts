/** What stays of instances that are gone, and where a store as a whole comes from. */
import type { InstanceStatus } from './instance.js';
import type { Digest, InstanceId } from './names.js';

/** Where the history of an instance ended that is gone: what an export of it is checked against. */
export interface Anchor {
  readonly id: InstanceId;
  readonly template: string;
  readonly status: InstanceStatus;
  readonly initiator: string;
  readonly createdAt: number;
  readonly endedAt: number;
  /** Of the last entry, and its hash. */
  readonly revision: number;
  readonly head: Digest;
  readonly purgedAt: number;
}

/** What `collectBlobs` has done. */
export interface Collected {
  /** Content that it looked at. */
  readonly looked: number;
  readonly removed: number;
  /** Bytes of what it removed. */
  readonly bytes: number;
}

/**
 * What stays of instances that are gone, and what goes with them.
 * - `saveAnchors` resolves once they are on disk; saving the same again is no error. An anchor is never changed or removed.
 * - `anchors` answers those of an id, which may have been given to several instances one after the other; the latest first.
 * - `allAnchors` answers all, in no order.
 * - `collectBlobs` looks at content, `limit` at most, that was neither saved nor found in use since `before` (milliseconds since the
 *   epoch), and removes what no instance in the store refers to. Whatever else it looked at counts as found in use now. Content
 *   that is saved again at the same time is there afterwards.
 * - `dropCharges` forgets what commits have charged in hours before `before`.
 */
export interface Attic {
  saveAnchors(anchors: readonly Anchor[]): Promise<void>;
  anchors(id: InstanceId): Promise<readonly Anchor[]>;
  allAnchors(): AsyncIterable<Anchor>;
  collectBlobs(before: number, limit: number): Promise<Collected>;
  dropCharges(before: number): Promise<void>;
}

/**
 * Whether a restore into the store was begun and not brought to its end: then nobody but a restore may open it, because what it holds
 * is older than what agents have done.
 */
export interface RestoreBook {
  isHalfRestored(): Promise<boolean>;
  beginRestore(at: number): Promise<void>;
  endRestore(at: number): Promise<void>;
}
