/** Makes an agent of functions work for a server elsewhere: registers, polls, and goes on when the server comes back. */
import { assert, VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { systemClock } from '../engine/clock.js';
import type { Runner } from '../transport/runner.js';
import type { Agent } from './agent.js';
import { remoteOrderOf } from './remote-order.js';
import { RemoteTask } from './remote-task.js';
import { createSdkRunner, DEFAULT_STOP_GRACE_MS } from './sdk-runner.js';
import { type Answer, ServerCalls } from './server-calls.js';

const POLL_SECONDS = 20;
const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 10_000;
/** What asking again does not mend: the agent ends with it. */
const FATAL: ReadonlySet<string> = new Set([
  'unauthorized',
  'unauthenticated',
  'input_invalid',
  'name_invalid',
  'resource_unknown',
]);

export interface ConnectOptions {
  /** Of the server, e.g. `http://127.0.0.1:8420`. */
  readonly url: string;
  /** Default: the environment variable `VAPORA_TOKEN`. */
  readonly token?: string;
  /** Default: the agent's. Each process needs a name of its own. */
  readonly name?: string;
  /** Tasks at once. Default: the agent's `maxConcurrent`. */
  readonly concurrency?: number;
  /** Of the agent, shown to whoever looks at the agents. */
  readonly version?: string;
  /** Whether SIGTERM and SIGINT drain it. Default: true; a second signal ends the process at once. */
  readonly drainOnSignal?: boolean;
  /** Hears of what goes wrong on the way to the server; it is tried again. Default: a warning of the process, once in a row. */
  readonly onTrouble?: (error: VaporaError) => void;
}

export interface ConnectedAgent {
  /** Resolves once the agent has left; rejects with a `VaporaError` where it can't go on, such as `unauthorized`. */
  readonly closed: Promise<void>;
  /** Takes no more tasks, finishes those under way, and leaves. */
  drain(): Promise<void>;
  /** Aborts what is under way, and leaves: another agent, or this one later, does it again. */
  close(): Promise<void>;
}

/**
 * Resolves once the server has let the agent in; that may take until the server is there. Throws `config_invalid` for an agent or
 * URL that is not valid, and what the server refuses it with (`unauthorized`, `unauthenticated`).
 */
export async function connectAgent(agent: Agent, options: ConnectOptions): Promise<ConnectedAgent> {
  const connection = new Connection(agent, options, systemClock());
  await connection.open();
  return connection;
}

class Connection implements ConnectedAgent {
  readonly closed: Promise<void>;
  readonly #runner: Runner;
  readonly #calls: ServerCalls;
  readonly #clock: Clock;
  readonly #registration: { name: string; roles: readonly string[]; capacity: number; version?: string };
  /** Of this process: a registration whose answer got lost is made again, and known by it. */
  readonly #key: string;
  readonly #onTrouble: (error: VaporaError) => void;
  readonly #drainOnSignal: boolean;
  readonly #tasks = new Map<string, RemoteTask>();
  readonly #running = new Set<Promise<void>>();
  #session: string | null = null;
  #isDraining = false;
  #isClosed = false;
  /** Of a poll that asks for no tasks: only such a one may be broken off, because nothing can be delivered to it. */
  #idlePoll: AbortController | null = null;
  #wakeSleep: () => void = () => {};
  #settle: { resolve: () => void; reject: (error: unknown) => void } | null = null;
  readonly #onSignal = () => void this.drain().catch(() => undefined);

  constructor(agent: Agent, options: ConnectOptions, clock: Clock) {
    this.#runner = createSdkRunner(agent);
    const token = options.token ?? process.env.VAPORA_TOKEN;
    this.#calls = new ServerCalls({ url: options.url, token: token === '' ? undefined : token });
    this.#clock = clock;
    this.#onTrouble = options.onTrouble ?? warnOnce();
    this.#key = clock.newId();
    this.#drainOnSignal = options.drainOnSignal ?? true;
    const { name, roles, maxConcurrent } = this.#runner.info;
    this.#registration = {
      name: options.name ?? name,
      roles,
      capacity: options.concurrency ?? maxConcurrent,
      ...(options.version === undefined ? {} : { version: options.version }),
    };
    this.closed = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // whoever doesn't look at it is not brought down by it
    this.closed.catch(() => undefined);
  }

  async open(): Promise<void> {
    await this.#register();
    if (this.#drainOnSignal) {
      process.once('SIGTERM', this.#onSignal);
      process.once('SIGINT', this.#onSignal);
    }
    void this.#serve();
  }

  drain(): Promise<void> {
    if (!this.#isDraining) {
      this.#isDraining = true;
      this.#unhook();
      this.#sayDrain();
      this.#nudge();
    }
    return this.closed;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#unhook();
    for (const task of this.#tasks.values()) task.leave();
    this.#sayDrain();
    this.#nudge();
    return this.closed;
  }

  #unhook(): void {
    process.removeListener('SIGTERM', this.#onSignal);
    process.removeListener('SIGINT', this.#onSignal);
  }

  /** Also has an open poll answered. */
  #sayDrain(): void {
    if (this.#session === null) return;
    this.#calls.post(`/agents/${this.#session}/drain`, null).catch(() => undefined);
  }

  /** Has the loop look again at what there is to do. */
  #nudge(): void {
    this.#idlePoll?.abort();
    this.#wakeSleep();
  }

  async #serve(): Promise<void> {
    let backoffMs = BACKOFF_FIRST_MS;
    try {
      while (!this.#isOver()) {
        try {
          if (this.#session === null) await this.#register();
          await this.#poll();
          backoffMs = BACKOFF_FIRST_MS;
        } catch (error) {
          if (this.#isOver() || this.#idlePoll?.signal.aborted) continue;
          this.#judge(error);
          await this.#sleep(backoffMs);
          backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2);
        } finally {
          this.#idlePoll = null;
        }
      }
      await this.#ended();
      await this.#leave();
      this.#settle?.resolve();
    } catch (error) {
      for (const task of this.#tasks.values()) task.stop('agent_lost', 'the server refuses the agent');
      this.#settle?.reject(error);
    } finally {
      this.#unhook();
    }
  }

  #isOver(): boolean {
    return this.#isClosed || (this.#isDraining && this.#tasks.size === 0);
  }

  /** Throws what can't be mended by trying again. */
  #judge(error: unknown): void {
    if (!(error instanceof VaporaError) || FATAL.has(error.code)) throw error;
    if (error.code === 'agent_unknown') this.#session = null;
    else this.#onTrouble(error);
  }

  async #poll(): Promise<void> {
    const { capacity } = this.#registration;
    const free = this.#isDraining ? 0 : Math.max(0, capacity - this.#tasks.size);
    const idle = free === 0 ? new AbortController() : null;
    this.#idlePoll = idle;
    const askedAt = this.#clock.now();
    const path = `/agents/${this.#session}/poll`;
    const answer = await this.#calls.post(
      path,
      { free, wait: POLL_SECONDS },
      idle === null ? {} : { signal: idle.signal },
    );
    for (const lease of listOf(answer.stop)) {
      this.#tasks.get(String(lease))?.stop('agent_lost', 'the attempt was stopped');
    }
    // what is delivered to one that leaves goes to another with it
    if (!this.#isClosed) for (const message of listOf(answer.tasks)) this.#begin(message, askedAt);
  }

  #begin(message: unknown, askedAt: number): void {
    const order = remoteOrderOf(message);
    const { name } = this.#registration;
    assert(!this.#tasks.has(order.lease), `agent ${name} gets a task once`);
    const task = new RemoteTask(order, askedAt, {
      calls: this.#calls,
      clock: this.#clock,
      runner: this.#runner,
      onTrouble: this.#onTrouble,
    });
    this.#tasks.set(order.lease, task);
    const running = task.run().then(() => {
      this.#tasks.delete(order.lease);
      this.#running.delete(running);
      this.#nudge();
    });
    this.#running.add(running);
  }

  /** With what is still being worked on: the server may have been restarted since. */
  async #register(): Promise<void> {
    const held = [...this.#tasks.values()];
    for (let backoffMs = BACKOFF_FIRST_MS; ; backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2)) {
      const askedAt = this.#clock.now();
      try {
        const holding = held.map(({ taskId, lease }) => ({ task_id: taskId, lease }));
        const answer = await this.#calls.post(
          '/agents',
          { ...this.#registration, holding },
          { key: this.#key },
        );
        this.#session = String(answer.session);
        this.#confirm(held, answer, askedAt);
        return;
      } catch (error) {
        this.#judge(error);
        if (this.#isOver()) return;
        await this.#sleep(backoffMs);
      }
    }
  }

  #confirm(held: readonly RemoteTask[], answer: Answer, askedAt: number): void {
    const kept = new Set(listOf(answer.kept));
    for (const task of held) {
      if (kept.has(task.lease)) task.confirm(askedAt);
      else task.stop('lease_lost', 'the server no longer knows the lease');
    }
  }

  /**
   * Resolves once no task acts any more, so that its next attempt does not meet it; or when those that do not listen have had their
   * time.
   */
  async #ended(): Promise<void> {
    let cancel = (): void => {};
    const grace = new Promise<void>((resolve) => {
      cancel = this.#clock.after(this.#runner.stopGraceMs ?? DEFAULT_STOP_GRACE_MS, resolve);
    });
    await Promise.race([Promise.all(this.#running), grace]);
    cancel();
  }

  async #leave(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    if (session !== null) await this.#calls.remove(`/agents/${session}`).catch(() => undefined);
  }

  /** With jitter, so that many agents don't come back in one moment. */
  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(delayMs * (0.5 + this.#clock.random() / 2), resolve);
      this.#wakeSleep = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** The same trouble again is no news. */
function warnOnce(): (error: VaporaError) => void {
  let last = '';
  return ({ code, message, hint }) => {
    if (message === last) return;
    last = message;
    process.emitWarning(message, {
      type: 'VaporaWarning',
      code,
      ...(hint === undefined ? {} : { detail: hint }),
    });
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
