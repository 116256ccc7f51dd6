/** What one attempt may hand in. */
export interface AttemptLimits {
  /** Of one artifact. */
  readonly maxArtifactBytes: number;
  /** Of all artifacts of an attempt together. */
  readonly maxTotalArtifactBytes: number;
  readonly maxArtifacts: number;
  /** Of `output`, and of the value of one step, as JSON. */
  readonly maxOutputBytes: number;
  readonly maxSteps: number;
  /** The end of the log that is kept. */
  readonly maxLogBytes: number;
}

export const DEFAULT_LIMITS: AttemptLimits = {
  maxArtifactBytes: 16 * 1024 * 1024,
  // all of it is in memory at once
  maxTotalArtifactBytes: 64 * 1024 * 1024,
  maxArtifacts: 100,
  // travels in the instance's state, which is written with every commit
  maxOutputBytes: 64 * 1024,
  maxSteps: 1_000,
  maxLogBytes: 64 * 1024,
};
