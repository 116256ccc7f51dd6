/** What a command may touch of the process around it: its streams, environment and options. No command uses `process` itself. */
import { userInfo } from 'node:os';
import type { Principal } from '../core/instance.js';
import type { Clock } from '../core/ports.js';
import { type Palette, paletteFor, wantsColors } from './palette.js';

/** The part of a stream that commands write to. */
export interface Output {
  write(text: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** The process as commands see it; a test gives its own. */
export interface Host {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Whether whoever read stdout has gone away. */
  isDeaf(): boolean;
  /**
   * Calls on the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. Where SIGHUP has a meaning of its own, it
   * calls `onHangup` instead, each time. Returns its unsubscribe.
   */
  onInterrupt(call: () => void, onHangup?: () => void): () => void;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly server?: string;
}

/** For commands that act in somebody's name. */
export interface PersonOptions {
  readonly by?: string;
  readonly group?: readonly string[];
}

export class Shell {
  readonly host: Host;
  readonly clock: Clock;
  readonly isJson: boolean;
  /** As given with `--config`. */
  readonly configFile: string | undefined;
  /** As given with `--server`. */
  readonly serverUrl: string | undefined;
  /** For stdout. */
  readonly colors: Palette;
  #around: (write: () => void) => void = (write) => write();

  constructor(host: Host, clock: Clock, options: CommonOptions) {
    this.host = host;
    this.clock = clock;
    this.isJson = options.json === true;
    this.configFile = options.config;
    this.serverUrl = options.server;
    this.colors = paletteFor(host.stdout, host.env);
  }

  /** Whether output may be redrawn in place. */
  get isTerminal(): boolean {
    return !this.isJson && this.host.stdout.isTTY === true && wantsColors(this.host.env);
  }

  /** Lines for people, on stdout; nothing with `--json`. */
  say(...lines: readonly string[]): void {
    if (!this.isJson) for (const line of lines) this.host.stdout.write(`${line}\n`);
  }

  /** One JSON value on one line, on stdout; nothing without `--json`. */
  json(value: unknown): void {
    if (this.isJson) this.host.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A remark that is no result, on stderr. */
  note(text: string): void {
    this.#around(() => this.host.stderr.write(`${text}\n`));
  }

  /** While something is drawn on the terminal, `around` makes room for each remark; null: nothing is. */
  drawAround(around: ((write: () => void) => void) | null): void {
    this.#around = around ?? ((write) => write());
  }

  /** Who acts: as named, else whoever is logged in. */
  person(options: PersonOptions): Principal {
    return { user: options.by ?? osUser(this.host.env), groups: options.group ?? [] };
  }
}

/** The operating system's user. A container may know none for the process's number. */
export function osUser(env: NodeJS.ProcessEnv): string {
  try {
    const { username } = userInfo();
    if (username !== '') return username;
  } catch {
    // falls through to what the environment says
  }
  return env.USER || 'unknown';
}
