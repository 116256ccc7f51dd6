import type { RetryPolicy } from './template.js';

/**
 * Delay in milliseconds before the retry that follows the `failures`-th failure (from 1): exponential with a cap, of which the share
 * `jitter` is drawn at random, so that many instances that failed together do not come back together.
 */
export function backoffMs(policy: RetryPolicy, failures: number, random: () => number): number {
  const full = Math.min(policy.maxMs, policy.initialMs * policy.factor ** (failures - 1));
  return Math.round(full * (1 - policy.jitter * random()));
}
