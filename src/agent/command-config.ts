/** What a command agent is made from. */
import type { Clock } from '../core/ports.js';
import type { AttemptLimits } from './limits.js';

/** What `[[agents]]` describes; paths are absolute. */
export interface CommandAgentConfig {
  readonly name: string;
  readonly roles: readonly string[];
  readonly maxConcurrent: number;
  /** Program and arguments; at least the program. */
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of one attempt; null: only the stage's and the workflow's limits count. */
  readonly timeoutMs: number | null;
}

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
