import type { Clock } from '../../core/ports.js';

const FIRST_MS = 5;
const MAX_MS = 500;

/** Waits longer from one try to the next, by chance shorter or longer, so that two writers don't meet again. `tries` from 1. */
export function pause(clock: Clock, tries: number): Promise<void> {
  const delayMs = Math.min(MAX_MS, FIRST_MS * 2 ** tries) * (0.5 + clock.random());
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
