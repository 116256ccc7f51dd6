/** Agents that live with the engine: orders are calls, words are calls back. */
import { assert, ERRORS, type ErrorCode, VaporaError } from '../core/errors.js';
import type { BlobRef, StepResult } from '../core/instance.js';
import type {
  AgentInfo,
  AgentTransport,
  Clock,
  Progress,
  TaskOrder,
  TaskOutcome,
  TaskSink,
} from '../core/ports.js';
import type { AttemptVoice, Runner } from './runner.js';

/**
 * An {@link AgentTransport} over runners in this process. It holds no queue and counts no capacity: that is the swarm's part.
 * An attempt under way outlives its agent's departure. A `task_id` must not be dispatched again while it is under way.
 */
export class InProcessTransport implements AgentTransport {
  readonly #clock: Clock;
  readonly #runners = new Map<string, Runner>();
  readonly #attempts = new Map<string, Attempt>();
  readonly #listeners = new Set<() => void>();
  readonly #onEnd = (taskId: string): void => {
    this.#attempts.delete(taskId);
  };
  #agents: readonly AgentInfo[] = [];
  #isClosed = false;

  constructor(clock: Clock, runners: readonly Runner[] = []) {
    this.#clock = clock;
    for (const runner of runners) this.register(runner);
  }

  /** Throws `config_invalid` where an agent of that name is already there. */
  register(runner: Runner): void {
    const { name } = runner.info;
    if (this.#runners.has(name)) {
      throw new VaporaError('config_invalid', `there is already an agent \`${name}\``, {
        hint: 'give each agent a name of its own',
      });
    }
    this.#runners.set(name, runner);
    this.#changed();
  }

  /** No further orders reach the agent; what it is doing it may finish. An unknown name is no error. */
  unregister(name: string): void {
    if (this.#runners.delete(name)) this.#changed();
  }

  agents(): readonly AgentInfo[] {
    return this.#agents;
  }

  onChange(listener: () => void): () => void {
    // a listener may be given twice, and each subscription ends on its own
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  dispatch(order: TaskOrder, sink: TaskSink): void {
    const runner = this.#runners.get(order.agent);
    if (this.#isClosed || runner === undefined) {
      const outcome = this.#isClosed
        ? failed('engine_stopping', 'the engine is stopping')
        : failed('agent_lost', `agent \`${order.agent}\` is no longer there`);
      // later, as with every other outcome: the caller is still in the middle of dispatching
      queueMicrotask(() => void sink.end(outcome));
      return;
    }
    assert(!this.#attempts.has(order.task_id), `attempt ${order.task_id} is already under way`);
    const attempt = new Attempt(order, sink, runner, this.#onEnd);
    this.#attempts.set(order.task_id, attempt);
    attempt.start();
  }

  /** What ran in an earlier process died with it. */
  resume(): boolean {
    return false;
  }

  async stop(taskId: string): Promise<void> {
    await this.#attempts.get(taskId)?.stop(this.#clock);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#attempts.values()].map((attempt) => attempt.stop(this.#clock)));
    this.#runners.clear();
    this.#listeners.clear();
    this.#agents = [];
  }

  #changed(): void {
    this.#agents = [...this.#runners.values()].map((runner) => runner.info);
    for (const listener of [...this.#listeners]) listener();
  }
}

/** One attempt under way. Once it has ended, nothing that its agent still says gets through. */
class Attempt implements AttemptVoice {
  readonly #order: TaskOrder;
  readonly #sink: TaskSink;
  readonly #runner: Runner;
  readonly #onEnd: (taskId: string) => void;
  readonly #abort = new AbortController();
  #isEnded = false;
  #stopping: Promise<void> | null = null;
  #onStopped: (() => void) | null = null;
  /** Made when it is first asked for, and most attempts never are. */
  #ended: Promise<boolean> | null = null;
  #onKept: ((isKept: boolean) => void) | null = null;

  constructor(order: TaskOrder, sink: TaskSink, runner: Runner, onEnd: (taskId: string) => void) {
    this.#order = order;
    this.#sink = sink;
    this.#runner = runner;
    this.#onEnd = onEnd;
  }

  start(): void {
    let running: Promise<TaskOutcome>;
    try {
      running = this.#runner.run(this.#order, this, this.#abort);
    } catch (error) {
      running = Promise.reject(error);
    }
    running.then(
      (outcome) => this.#end(outcome),
      (error) => this.#end(failed('agent_failed', `agent \`${this.#order.agent}\` broke: ${textOf(error)}`)),
    );
  }

  stop(clock: Clock): Promise<void> {
    if (this.#stopping !== null) return this.#stopping;
    this.#stopping = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    const graceMs = this.#runner.stopGraceMs;
    if (graceMs !== null) {
      const cancel = clock.after(graceMs, () => {
        const place = `agent \`${this.#order.agent}\``;
        this.#end(failed('agent_lost', `${place} did not end within ${graceMs} ms of being stopped`));
      });
      this.#stopping = this.#stopping.then(cancel);
    }
    this.#abort.abort(new VaporaError('agent_lost', 'the attempt was stopped'));
    return this.#stopping;
  }

  heartbeat(): void {
    if (!this.#isEnded) this.#sink.heartbeat();
  }

  progress(progress: Progress): void {
    if (!this.#isEnded) this.#sink.progress(progress);
  }

  step(result: StepResult): Promise<void> {
    return this.#isEnded ? Promise.reject(tooLate()) : this.#sink.step(result);
  }

  blob(ref: BlobRef): Promise<Uint8Array> {
    return this.#isEnded ? Promise.reject(tooLate()) : this.#sink.blob(ref);
  }

  keep(content: Uint8Array): Promise<BlobRef> {
    return this.#isEnded ? Promise.reject(tooLate()) : this.#sink.keep(content);
  }

  whenEnded(): Promise<boolean> {
    this.#ended ??= new Promise((resolve) => {
      this.#onKept = resolve;
    });
    return this.#ended;
  }

  #end(outcome: TaskOutcome): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd(this.#order.task_id);
    const ending = this.#sink.end(outcome);
    if (this.#onKept !== null) void ending.then(this.#onKept);
    else this.#ended = ending;
    this.#onStopped?.();
  }
}

function tooLate(): VaporaError {
  return new VaporaError('agent_lost', 'the attempt has already ended');
}

function failed(code: ErrorCode, message: string): TaskOutcome {
  return { status: 'failed', error: { code, message }, isRetryable: ERRORS[code].retry, log: null };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'it rejected with something that is no error';
}
