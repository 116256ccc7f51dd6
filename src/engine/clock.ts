/** Time and chance of the real world: the one place that asks for them. */
import { uuidv7 } from 'uuidv7';
import type { Clock } from '../core/ports.js';

/** Node turns longer delays into 1 ms. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/**
 * Reads the machine's clock once and counts on from there with the monotonic one, so that `now` never goes back and deadlines are
 * kept even when somebody sets the machine's clock while the engine runs.
 */
export function systemClock(): Clock {
  const base = Date.now() - performance.now();
  return {
    now: () => Math.floor(base + performance.now()),
    after: (delayMs, call) => {
      if (delayMs <= 0) {
        // a timer would take a millisecond
        const immediate = setImmediate(call);
        return () => clearImmediate(immediate);
      }
      const timer = setTimeout(call, Math.min(delayMs, MAX_TIMEOUT_MS));
      return () => clearTimeout(timer);
    },
    random: Math.random,
    newId: uuidv7,
  };
}

/** Resolves once everything that is ready to run, and does not wait for time or the disk, has run. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
