import type { RetryPolicy } from './template.js';

/**
 * Delay in milliseconds before the retry that follows the `failures`-th failure (from 1): exponential with a cap, of which the share
 * `jitter` is drawn at random, so that many instances that failed together do not come back together.
 */
export function backoffMs(policy: RetryPolicy, failures: number, random: () => number): number {
  // an overflown growth times an initial delay of 0 would be no number
  const growth = Math.min(Number.MAX_SAFE_INTEGER, policy.factor ** (failures - 1));
  const full = Math.min(policy.maxMs, policy.initialMs * growth);
  return Math.round(full * (1 - policy.jitter * random()));
}
