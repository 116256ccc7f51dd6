/** What every store checks of a commit, and says when it does not take one. */
import { assert, VaporaError } from '../core/errors.js';
import type { InstanceId } from '../core/names.js';
import type { Commit } from '../core/ports.js';

/** Ends the path of a caller that does not keep to the contract of {@link Commit}. */
export function checkCommit({ previous, next, events }: Commit): void {
  assert(events.length > 0, 'a commit holds at least one event');
  assert(next.revision === (previous?.instance.revision ?? 0) + 1, 'a commit adds one revision');
  assert(next.seq === (previous?.instance.seq ?? 0) + events.length, 'a commit numbers each event');
  assert(previous === null || previous.instance.id === next.id, 'a commit is about one instance');
}

export function instanceExists(id: InstanceId): VaporaError {
  return new VaporaError('instance_exists', `instance \`${id}\` exists already`);
}

export function revisionConflict(id: InstanceId, based: number, current: number | null): VaporaError {
  const found = current === null ? 'it does not exist' : `it is at revision ${current}`;
  return new VaporaError(
    'revision_conflict',
    `instance \`${id}\` has moved on from revision ${based}: ${found}`,
  );
}

export function storeClosed(): VaporaError {
  return new VaporaError('store_failed', 'the store is closed');
}
