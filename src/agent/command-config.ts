/** What a command agent needs beside its configuration. */
import type { Clock } from '../core/ports.js';
import type { AttemptLimits } from './limits.js';

export interface CommandRunnerOptions {
  readonly clock: Clock;
  /** Names the engine whose processes these are, see `endOrphans`. */
  readonly owner: string;
  readonly limits?: AttemptLimits;
  /** Where the private directories of attempts are made; default: the system's place for temporary files. */
  readonly workRoot?: string;
  /** Between SIGTERM and SIGKILL. */
  readonly killGraceMs?: number;
  /** Of stdout that is neither progress nor steps; larger artifacts go by `path`. */
  readonly maxStdoutBytes?: number;
}
