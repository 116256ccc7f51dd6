/** What one attempt may hand in over HTTP. */
import { type AttemptLimits, DEFAULT_LIMITS } from '../agent/limits.js';
import type { ServerContext } from './context.js';

export function attemptLimitsOf({ limits }: Pick<ServerContext, 'limits'>): AttemptLimits {
  const { maxArtifactBytes, maxOutputBytes } = limits;
  const maxTotalArtifactBytes = Math.max(DEFAULT_LIMITS.maxTotalArtifactBytes, maxArtifactBytes);
  return { ...DEFAULT_LIMITS, maxArtifactBytes, maxTotalArtifactBytes, maxOutputBytes };
}
