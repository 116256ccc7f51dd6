/** The processes of one attempt: started as a group of their own, ended without exception. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Clock } from '../core/ports.js';
import { endMarked, killAllNow, sendSignal } from './process-marks.js';

/** After the command's own end, how long its descendants may still hold its pipes before they are ended. */
const DRAIN_MS = 500;
/** After everything was killed, how long a pipe may stay open in the hands of a process that could not be found. */
const CLOSE_MS = 1_000;

export interface ProcessOrder {
  /** Program and arguments; at least the program. Never given to a shell. */
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** In `env`, and by it in every descendant's. */
  readonly mark: string;
  onStdout(chunk: Uint8Array): void;
  onStderr(chunk: Uint8Array): void;
  /** The command itself has ended; its pipes and descendants may not have. */
  onExit(): void;
}

export type ProcessEnd =
  | { readonly type: 'not_started'; readonly error: Error & { readonly code?: unknown } }
  | { readonly type: 'exited'; readonly code: number | null; readonly signal: string | null };

const running = new Set<TaskProcess>();
let isExitWatched = false;

/** An engine that ends at once, as on a second interrupt, must not leave agents behind either. */
function watchExit(): void {
  if (isExitWatched) return;
  isExitWatched = true;
  process.on('exit', () => {
    if (running.size === 0) return;
    for (const task of running) task.kill();
    killAllNow();
  });
}

export class TaskProcess {
  /** Resolves once no process of the attempt is left and its pipes are closed. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  readonly #clock: Clock;
  #child: ChildProcessWithoutNullStreams | null = null;
  #cancelKill: () => void = () => undefined;

  constructor(order: ProcessOrder, clock: Clock) {
    this.#clock = clock;
    watchExit();
    running.add(this);
    this.ended = this.#run(order).finally(() => running.delete(this));
  }

  /** SIGTERM to the group, and SIGKILL after `graceMs`. */
  terminate(graceMs: number): void {
    this.#signal('SIGTERM');
    this.#cancelKill();
    this.#cancelKill = this.#clock.after(graceMs, () => this.kill());
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // where there are no process groups, the child alone
    if (!sendSignal(-child.pid, signal)) child.kill(signal);
  }

  async #run(order: ProcessOrder): Promise<ProcessEnd> {
    const started = this.#start(order);
    if (started instanceof Error) return { type: 'not_started', error: started };
    const child = started;
    this.#child = child;
    // `close` comes after `exit`, and both only where the program could be started
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const end = await new Promise<ProcessEnd>((resolve) => {
      child.once('exit', (code, signal) => resolve({ type: 'exited', code, signal }));
      child.on('error', (error) => {
        if (child.pid === undefined) resolve({ type: 'not_started', error });
      });
    });
    if (end.type === 'not_started' || child.pid === undefined) return end;
    this.#cancelKill();
    order.onExit();
    await this.#within(DRAIN_MS, closed);
    sendSignal(-child.pid, 'SIGKILL');
    await endMarked(order.mark, this.#clock);
    await this.#within(CLOSE_MS, closed);
    child.stdout.destroy();
    child.stderr.destroy();
    child.stdin.destroy();
    return end;
  }

  #start(order: ProcessOrder): ChildProcessWithoutNullStreams | Error {
    const [program = '', ...args] = order.argv;
    try {
      const child = spawn(program, args, {
        cwd: order.cwd,
        env: { ...order.env },
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
        windowsHide: true,
      });
      // heard in `run` too; here already, because an error that nobody hears ends the process
      child.on('error', () => undefined);
      // without a process there may be no pipes either (EMFILE)
      if (child.pid === undefined) return child;
      child.stdout.on('data', order.onStdout);
      child.stderr.on('data', order.onStderr);
      // a command need not read its task (EPIPE), and a pipe that breaks shows in what was said before
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => undefined);
      child.stdin.end(order.stdin);
      return child;
    } catch (error) {
      // e.g. an argument with a NUL in it
      return error instanceof Error ? error : new Error('it could not be started');
    }
  }

  /** Waits for `event`, but no longer than `limitMs`. */
  #within(limitMs: number, event: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(limitMs, resolve);
      void event.then(() => {
        cancel();
        resolve();
      });
    });
  }
}
