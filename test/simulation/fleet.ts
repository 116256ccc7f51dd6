/** Which agents there are, what they are at, and the transport of a process to them. */
import type { AgentInfo, AgentTransport, TaskOrder, TaskSink } from '../../src/core/ports.js';
import { Attempt } from './agents.js';
import { never, type SimulatedProcess } from './process.js';
import type { World } from './world.js';

export class Fleet {
  readonly #world: World;
  readonly #present = new Map<string, AgentInfo>();
  readonly #listeners = new Set<() => void>();
  /** By task id and process, those that were started and have not ended. */
  readonly attempts = new Set<Attempt>();

  constructor(world: World) {
    this.#world = world;
    for (const info of world.scenario.agents) this.#present.set(info.name, info);
  }

  agents(): readonly AgentInfo[] {
    return [...this.#present.values()];
  }

  serves(role: string): boolean {
    return this.agents().some((info) => info.roles.includes(role));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  leave(name: string): void {
    if (this.#present.delete(name)) this.#changed();
  }

  come(info: AgentInfo): void {
    this.#present.set(info.name, info);
    this.#changed();
  }

  find(name: string): AgentInfo | undefined {
    return this.#present.get(name);
  }

  attemptOf(taskId: string, process: SimulatedProcess): Attempt | undefined {
    for (const attempt of this.attempts) {
      if (attempt.order.task_id === taskId && attempt.process === process) return attempt;
    }
    return undefined;
  }

  forget(attempt: Attempt): void {
    attempt.isGone = true;
    this.attempts.delete(attempt);
  }

  /** What a process has started ends with it. */
  endAllOf(process: SimulatedProcess): void {
    for (const attempt of this.attempts) {
      if (attempt.process === process && !attempt.isElsewhere) this.forget(attempt);
    }
    this.cutOffFrom(process);
  }

  /** Agents elsewhere hear no more of it. */
  cutOffFrom(process: SimulatedProcess): void {
    for (const attempt of this.attempts) {
      if (attempt.process === process && attempt.isElsewhere) attempt.cutOff();
    }
  }

  /** What an earlier process has dispatched, wherever it is now. */
  takeUp(order: TaskOrder, process: SimulatedProcess, sink: TaskSink): void {
    for (const attempt of this.attempts) {
      if (attempt.order.task_id === order.task_id) return attempt.takeUp(process, sink);
    }
    const info = { name: order.agent, roles: [], maxConcurrent: 1, leaseMs: null };
    const attempt = new Attempt(process, order, sink, info);
    attempt.isGone = true;
    this.attempts.add(attempt);
    attempt.takeUp(process, sink);
  }

  heal(): void {
    for (const attempt of this.attempts) attempt.heal();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
    this.#world.note(`agents: ${[...this.#present.keys()].join(' ')}`);
  }
}

/** One process's end of the way to the agents. */
export class SimulatedTransport implements AgentTransport {
  readonly #process: SimulatedProcess;
  readonly #fleet: Fleet;

  constructor(process: SimulatedProcess) {
    this.#process = process;
    this.#fleet = process.world.fleet;
  }

  agents(): readonly AgentInfo[] {
    return this.#process.port('agents', () => this.#fleet.agents(), []);
  }

  onChange(listener: () => void): () => void {
    const cancel = this.#fleet.onChange(() => this.#process.enter(listener));
    this.#process.onDeath(cancel);
    return cancel;
  }

  dispatch(order: TaskOrder, sink: TaskSink): void {
    const { world } = this.#process;
    const send = () => {
      const info = this.#fleet.find(order.agent);
      world.note(`dispatch ${order.task_id} to ${order.agent}`);
      const known = info ?? { name: order.agent, roles: [], maxConcurrent: 1, leaseMs: null };
      const attempt = new Attempt(this.#process, order, sink, known);
      world.watch?.onDispatch(attempt, info !== undefined);
      if (info === undefined) {
        const error = { code: 'agent_lost', message: `agent \`${order.agent}\` is not there` } as const;
        const outcome = { status: 'failed', error, isRetryable: true, log: null } as const;
        world.timeline.after(0, () =>
          this.#process.enter(() => {
            world.watch?.onAnswer(attempt, outcome);
            sink.end(outcome);
          }),
        );
        return;
      }
      this.#fleet.attempts.add(attempt);
      // agents elsewhere poll whoever has taken over
      if (attempt.isElsewhere && this.#process.isZombie) return;
      attempt.begin();
    };
    this.#process.port('dispatch', send, undefined);
  }

  resume(agent: string, orderOf: () => TaskOrder, sink: TaskSink): boolean {
    const { world } = this.#process;
    if (!world.isElsewhere(agent)) return false;
    const take = () => {
      const order = orderOf();
      world.note(`take up ${order.task_id}`);
      world.coverage.effect(`resume ${order.type}`);
      this.#fleet.takeUp(order, this.#process, sink);
      return true;
    };
    return this.#process.port('resume', take, true);
  }

  stop(taskId: string): Promise<void> {
    const ask = () => {
      const attempt = this.#fleet.attemptOf(taskId, this.#process);
      this.#process.world.note(`stop ${taskId}`);
      if (attempt === undefined) return Promise.resolve();
      return new Promise<void>((resolve) => attempt.stop(resolve));
    };
    return this.#process.port('stop', ask, never());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
