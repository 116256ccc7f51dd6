/** Opening takes no longer than it may, and says why it failed. */
import { VaporaError } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
import { isFull, messageOf } from './fault.js';

const OPEN_LIMIT_MS = 30_000;

/** What the engine wraps around every failure says nothing. */
export function engineWords(error: unknown): string {
  const wrapping = /^(An unexpected connection error occurred|There was a problem with a transaction): /;
  let words = messageOf(error);
  while (wrapping.test(words)) words = words.replace(wrapping, '');
  return words.replace(/\.$/, '');
}

export function openFailure(error: unknown, place: string): VaporaError {
  if (error instanceof VaporaError) return error;
  if (isFull(error)) {
    return new VaporaError('store_full', `no space is left for the store ${place}`, {
      hint: 'free some space and start again: everything acknowledged is kept',
      cause: error,
    });
  }
  return new VaporaError('store_unreadable', `can't open the store ${place}: ${engineWords(error)}`, {
    hint: 'bring it back from a copy, or move it aside to begin with an empty one',
    cause: error,
  });
}

/** A failed opening may never settle, and then lets the process end in silence: this waits no longer than the limit, and keeps it alive. */
export async function withinLimit(place: string, clock: Clock, open: () => Promise<void>): Promise<void> {
  const keepAlive = new MessageChannel();
  keepAlive.port1.on('message', () => undefined);
  try {
    await new Promise<void>((resolve, reject) => {
      const cancel = clock.after(OPEN_LIMIT_MS, () =>
        reject(
          new VaporaError(
            'store_unreadable',
            `the store ${place} did not open within ${OPEN_LIMIT_MS / 1000} s`,
            {
              hint: 'it may be damaged, on a full disk, or held by a program other than this one',
            },
          ),
        ),
      );
      open().then(resolve, reject).finally(cancel);
    });
  } catch (error) {
    throw openFailure(error, place);
  } finally {
    keepAlive.port1.close();
  }
}
