/** An engine of real parts for tests: a store that can be held up, broken or cut off, agents in process, and a clock of its own. */
import pino from 'pino';
import { expect } from 'vitest';
import type { Agent, CompensationTask, Task, TaskContext, TaskResult } from '../agent/agent.js';
import { createSdkRunner } from '../agent/sdk-runner.js';
import { AllowAllAuthorizer } from '../auth/allow-all.js';
import { canonicalJson } from '../config/canonical.js';
import { defineWorkflow } from '../config/define.js';
import type { EventRecord } from '../core/events.js';
import { applyEntry } from '../core/evolve.js';
import type { Decision, WorkflowInstance } from '../core/instance.js';
import type {
  AuthorizationContext,
  AuthorizationRequest,
  Authorizer,
  Commit,
  StoredInstance,
  WorkflowStore,
} from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { emptyMemory, type MemoryData, MemoryWorkflowStore } from '../store/memory.js';
import { TestClock } from '../testing/test-clock.js';
import { InProcessTransport } from '../transport/in-process.js';
import { WorkflowOrchestrator } from './orchestrator.js';

export const ANN = { user: 'ann', groups: ['ops'] };
export const BOB = { user: 'bob', groups: [] };

/** Every call goes through `meet` first, which may wait or throw. */
export class TestStore implements WorkflowStore {
  readonly commits: Commit[] = [];
  readonly #inner: WorkflowStore;
  meet: (call: keyof WorkflowStore, commit?: Commit) => Promise<void> | void = () => undefined;

  constructor(inner: WorkflowStore) {
    this.#inner = inner;
  }

  async save(commit: Commit): Promise<StoredInstance> {
    this.commits.push(commit);
    await this.meet('save', commit);
    return this.#inner.save(commit);
  }

  readonly load: WorkflowStore['load'] = async (id) => {
    await this.meet('load');
    return this.#inner.load(id);
  };
  readonly summary: WorkflowStore['summary'] = (id) => this.#inner.summary(id);
  readonly saveBlob: WorkflowStore['saveBlob'] = async (bytes) => {
    await this.meet('saveBlob');
    return this.#inner.saveBlob(bytes);
  };
  async *loadActive(after: number, until: number): AsyncGenerator<readonly StoredInstance[]> {
    for await (const batch of this.#inner.loadActive(after, until)) {
      await this.meet('loadActive');
      yield batch;
    }
  }
  readonly nextWakeAt: WorkflowStore['nextWakeAt'] = async (after) => {
    await this.meet('nextWakeAt');
    return this.#inner.nextWakeAt(after);
  };
  readonly changedSince: WorkflowStore['changedSince'] = (at) => this.#inner.changedSince(at);
  readonly delete: WorkflowStore['delete'] = (id) => this.#inner.delete(id);
  readonly list: WorkflowStore['list'] = async (query) => {
    await this.meet('list');
    return this.#inner.list(query);
  };
  readonly history: WorkflowStore['history'] = (id, after) => this.#inner.history(id, after);
  readonly saveTemplate: WorkflowStore['saveTemplate'] = (template) => this.#inner.saveTemplate(template);
  readonly loadTemplate: WorkflowStore['loadTemplate'] = (hash) => this.#inner.loadTemplate(hash);
  readonly loadBlob: WorkflowStore['loadBlob'] = (digest) => this.#inner.loadBlob(digest);
  readonly charges: WorkflowStore['charges'] = (since) => this.#inner.charges(since);
  readonly close: WorkflowStore['close'] = () => this.#inner.close();
}

/** Allows everything, and keeps what it was asked. */
export class RecordingAuthorizer implements Authorizer {
  readonly isEnforcing = true;
  readonly policySet = null;
  readonly asked: AuthorizationRequest[] = [];

  authorize(request: AuthorizationRequest): Decision {
    this.asked.push(request);
    return { effect: 'allow', policies: ['p'], reason: 'permitted by p', errors: [], policySet: null };
  }

  /** Contexts of what was asked about an action, in order. */
  contextsOf(action: string): AuthorizationContext[] {
    return this.asked.filter((request) => request.action === action).map(({ context }) => context);
  }
}

export interface RigOptions {
  readonly workflows: readonly WorkflowTemplate[];
  readonly agents?: readonly Agent[];
  readonly authorizer?: Authorizer;
  readonly clock?: TestClock;
  readonly data?: MemoryData;
  /** Instead of one in memory. */
  readonly store?: WorkflowStore;
  readonly maxParallelTasks?: number;
}

export class Rig {
  readonly clock: TestClock;
  readonly data: MemoryData;
  readonly store: TestStore;
  readonly transport: InProcessTransport;
  readonly api: WorkflowOrchestrator;
  readonly heard: EventRecord[] = [];
  readonly #options: RigOptions;

  constructor(options: RigOptions) {
    this.#options = options;
    const { workflows, agents = [], clock = new TestClock(), data = emptyMemory() } = options;
    this.clock = clock;
    this.data = data;
    this.store = new TestStore(options.store ?? new MemoryWorkflowStore(data));
    this.transport = new InProcessTransport(clock);
    for (const agent of agents) this.add(agent);
    this.api = new WorkflowOrchestrator({
      store: this.store,
      transport: this.transport,
      authorizer: options.authorizer ?? new AllowAllAuthorizer(),
      clock,
      log: pino({ level: 'silent' }),
      templates: new Map(workflows.map((template) => [template.name, template])),
      maxParallelTasks: options.maxParallelTasks ?? null,
      limits: { maxInputBytes: 100_000 },
    });
    this.api.subscribe((notice) => {
      if (notice.kind === 'event') this.heard.push(notice.event);
    });
  }

  add(agent: Agent): void {
    this.transport.register(createSdkRunner(agent));
  }

  async start(workflow: string, id?: string, input?: unknown): Promise<string> {
    const more = { ...(id === undefined ? {} : { id }), ...(input === undefined ? {} : { input }) };
    return (await this.api.start({ workflow, initiator: ANN, ...more })).id;
  }

  async run(workflow: string, id?: string): Promise<WorkflowInstance> {
    return this.api.untilRest(await this.start(workflow, id));
  }

  async events(id: string): Promise<EventRecord[]> {
    const events: EventRecord[] = [];
    for await (const event of this.api.history(id)) events.push(event);
    return events;
  }

  /** Types of the events after `afterSeq`. */
  async types(id: string): Promise<string[]> {
    return (await this.events(id)).map((event) => event.type);
  }

  /** The process is gone, as far as the store can see: nothing of it is ever written again. A new one over the same data. */
  crash(more: Partial<RigOptions> = {}): Rig {
    this.store.meet = () => new Promise<void>(() => {});
    return new Rig({ ...this.#options, clock: this.clock, data: this.data, ...more });
  }

  /**
   * What must be true when nothing goes on any more: no capacity is held, nobody waits, nobody is awake; each history
   * leads to its state, and listeners have heard each event once and in order.
   */
  async expectQuiet(): Promise<void> {
    await this.clock.advance(0);
    expect({ inFlight: this.api.swarm.inFlight, queued: this.api.swarm.queued }).toEqual({
      inFlight: 0,
      queued: 0,
    });
    expect(this.api.swarm.status().filter((agent) => agent.inFlight !== 0)).toEqual([]);
    expect(this.api.awake).toBe(0);
    await this.expectWhole();
  }

  async expectWhole(): Promise<void> {
    for (const { id } of (await this.api.list({ limit: 1_000 })).items) {
      const stored = await this.api.get(id);
      const template = await this.store.loadTemplate(stored.templateHash);
      let folded: WorkflowInstance | null = null;
      for await (const entry of this.api.entries(id))
        if (template) folded = applyEntry(template, folded, entry);
      // comparing the texts is quicker where there are many
      if (canonicalJson(folded) !== canonicalJson(stored)) expect(folded).toEqual(stored);
      const seqs = this.heard.flatMap((event) => (event.workflow_id === id ? [event.seq] : []));
      expect(seqs).toEqual(seqs.map((_, index) => stored.seq - seqs.length + 1 + index));
    }
  }
}

export function workflow(
  name: string,
  stages: readonly (string | Parameters<typeof defineWorkflow>[0]['stages'][number])[],
  engine: Parameters<typeof defineWorkflow>[1] = {},
): WorkflowTemplate {
  const full = stages.map((stage) => (typeof stage === 'string' ? { name: stage, agents: ['do'] } : stage));
  return defineWorkflow({ name, trigger: 'manual', stages: full }, engine);
}

type Word = (task: Task, ctx: TaskContext) => TaskResult | undefined | Promise<TaskResult | undefined>;
type Undo = (task: CompensationTask, ctx: TaskContext) => ReturnType<Word>;

/** An agent that keeps the orders it got. */
export class Hand implements Agent {
  readonly name: string;
  readonly roles: readonly string[];
  readonly maxConcurrent: number;
  readonly orders: (Task | CompensationTask)[] = [];
  doing: Word = () => undefined;
  undoing: Undo = () => undefined;

  constructor(name: string, roles: readonly string[] = [name], maxConcurrent = 10) {
    this.name = name;
    this.roles = roles;
    this.maxConcurrent = maxConcurrent;
  }

  readonly execute = (task: Task, ctx: TaskContext): ReturnType<Word> => {
    this.orders.push(task);
    return this.doing(task, ctx);
  };

  readonly compensate = (task: CompensationTask, ctx: TaskContext): ReturnType<Word> => {
    this.orders.push(task);
    return this.undoing(task, ctx);
  };

  /** `<stage>#<attempt>`, with `undo ` before a compensation. */
  get log(): string[] {
    return this.orders.map(
      (order) => `${order.type === 'compensation' ? 'undo ' : ''}${order.stage_name}#${order.attempt}`,
    );
  }
}

export interface Gate {
  readonly opened: Promise<undefined>;
  open(): void;
}

export function gate(): Gate {
  let open: () => void = () => {};
  const opened = new Promise<undefined>((resolve) => {
    open = () => resolve(undefined);
  });
  return { opened, open };
}

/** Never by itself; ends as soon as it is told to stop. */
export const hang: Word = (_task, ctx) =>
  new Promise((_resolve, reject) => {
    ctx.signal.addEventListener('abort', () => reject(new Error('stopped')));
  });
