/** Tells the engine's failures apart. The embedded engine gives no codes for most of them, so its texts are matched. */
import { VaporaError } from '../../core/errors.js';

/** Thrown inside transactions by our own statements. */
export const FENCED = 'vapora:fenced';
export const TAKEN = 'vapora:taken';

const CONFLICT = /conflict|can be retried|resource busy/i;
const FULL = /no space left|ENOSPC|disk full|quota exceeded/i;
const DISK = /IO error|input\/output error/i;
/** Said of the statements beside the one that failed. */
const ECHO = /was not executed due to a (failed|cancelled) transaction/i;

export function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause === undefined ? cause.message : `${cause.message}: ${messageOf(cause.cause)}`;
}

/** Of the errors of one query's statements, the one that tells what happened. */
export function tellingError(errors: readonly Error[]): Error | undefined {
  return errors.find((error) => !ECHO.test(error.message)) ?? errors[0];
}

export function isConflict(cause: unknown): boolean {
  return CONFLICT.test(messageOf(cause));
}

export function isThrown(cause: unknown, mark: typeof FENCED | typeof TAKEN): boolean {
  return messageOf(cause).includes(mark);
}

export function isFull(cause: unknown): boolean {
  return (
    FULL.test(messageOf(cause)) || (cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC')
  );
}

/**
 * Whether the disk failed a write. The embedded engine then still shows what it could not write, and has lost it once it is opened
 * again: reading it back proves nothing.
 */
export function isDiskFault(cause: unknown): boolean {
  return isFull(cause) || DISK.test(messageOf(cause));
}

/** What a store whose writes no longer work says, once and for ever. */
export function storeFailure(cause: unknown, place: string): VaporaError {
  if (cause instanceof VaporaError) return cause;
  if (isThrown(cause, FENCED)) {
    return new VaporaError('store_fenced', `the store ${place} was taken over by another engine`, {
      hint: 'this engine must end; the other one goes on',
    });
  }
  if (isFull(cause)) {
    return new VaporaError('store_full', `no space is left for the store ${place}`, {
      hint: 'free some space and start again: everything acknowledged is kept',
      cause,
    });
  }
  return new VaporaError('store_failed', `the store ${place} no longer writes: ${messageOf(cause)}`, {
    cause,
  });
}
