import { pino } from 'pino';
import type { Agent } from '../agent/agent.js';
import { createSdkRunner } from '../agent/sdk-runner.js';
import { AllowAllAuthorizer } from '../auth/allow-all.js';
import { CedarAuthorizer } from '../auth/cedar.js';
import { DEFAULT_ENGINE } from '../config/schema.js';
import type { Notice, StartRequest, WorkflowApi } from '../core/api.js';
import type { EventRecord } from '../core/events.js';
import type { WorkflowInstance } from '../core/instance.js';
import type { Authorizer } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { nextTurn } from '../engine/clock.js';
import { WorkflowOrchestrator } from '../engine/orchestrator.js';
import { emptyMemory, type MemoryData, MemoryWorkflowStore } from '../store/memory.js';
import { InProcessTransport } from '../transport/in-process.js';
import { TestClock } from './test-clock.js';

export interface TestEngineOptions {
  /** Made by `defineWorkflow`, or the `templates` of a loaded configuration. */
  readonly workflows: Iterable<WorkflowTemplate>;
  readonly agents?: readonly Agent[];
  /** A directory of Cedar policies. Default: everything is allowed. */
  readonly policies?: string;
  readonly clock?: TestClock;
  /** Attempts in flight at once; null, the default: as many as the agents can take. */
  readonly maxParallelTasks?: number | null;
}

/** What a test may leave out of a start. The default initiator is the user `tester`, in no group. */
export type TestStart = Partial<Omit<StartRequest, 'workflow'>>;

/** The whole engine in this process and in memory: real decisions, policies and agents, but no disk and no waiting. */
export class TestEngine {
  readonly api: WorkflowApi;
  readonly clock: TestClock;
  /** Everything that was told since this engine was opened: events, and progress of agents. */
  readonly notices: readonly Notice[];
  readonly #parts: Parts;
  readonly #store: MemoryWorkflowStore;
  readonly #transport: InProcessTransport;
  readonly #orchestrator: WorkflowOrchestrator;

  /** Use {@link openTestEngine}. */
  constructor(parts: Parts) {
    const { clock, data, agents, authorizer, templates, maxParallelTasks } = parts;
    this.#parts = parts;
    this.clock = clock;
    this.#store = new MemoryWorkflowStore(data);
    this.#transport = new InProcessTransport(clock);
    for (const agent of agents) this.#transport.register(createSdkRunner(agent));
    this.#orchestrator = new WorkflowOrchestrator({
      store: this.#store,
      transport: this.#transport,
      authorizer,
      clock,
      log: pino({ level: 'silent' }),
      templates,
      maxParallelTasks,
      limits: DEFAULT_ENGINE.limits,
    });
    this.api = this.#orchestrator;
    const notices: Notice[] = [];
    this.notices = notices;
    this.api.subscribe((notice) => notices.push(notice));
  }

  /** Starts an instance; answers its id. What it waits for, if for anything, is up to the test. */
  async start(workflow: string, more: TestStart = {}): Promise<string> {
    const { id } = await this.api.start({ initiator: { user: 'tester', groups: [] }, ...more, workflow });
    return id;
  }

  /**
   * Starts an instance and answers it once it has come to rest: ended, waiting for an approval, or blocked. One that waits for a
   * retry or a timeout is not at rest: use `start`, then `clock.advance`.
   */
  async run(workflow: string, more: TestStart = {}): Promise<WorkflowInstance> {
    return this.api.untilRest(await this.start(workflow, more));
  }

  /** The instance's history so far. */
  async events(id: string): Promise<EventRecord[]> {
    const events: EventRecord[] = [];
    for await (const event of this.api.history(id)) events.push(event);
    return events;
  }

  /** Throws `config_invalid`. */
  addAgent(agent: Agent): void {
    this.#transport.register(createSdkRunner(agent));
    this.#parts.agents.push(agent);
  }

  /** What it is doing it may finish. */
  removeAgent(name: string): void {
    this.#transport.unregister(name);
    const { agents } = this.#parts;
    agents.splice(0, agents.length, ...agents.filter((agent) => agent.name !== name));
  }

  /**
   * As after a `kill -9` and a start anew: what this engine had committed is there, everything else is gone, and every instance that
   * is not at an end goes on in the engine that is answered. This one is of no use any more.
   */
  async crash(): Promise<TestEngine> {
    // first of all, so that nothing of what is stopped now is recorded
    await this.#store.close();
    const stopped = this.#orchestrator.close();
    // an agent that does not listen to its signal must not keep the next engine waiting
    await Promise.race([stopped, nextTurn()]);
    const next = new TestEngine(this.#parts);
    await next.#orchestrator.recover();
    return next;
  }

  /** Stops agents and lets go of everything. Idempotent. */
  async close(): Promise<void> {
    const stopped = this.#orchestrator.close();
    // whoever does not listen to its signal is given up after a grace, which passes by this clock
    let isStopped = false;
    const mark = () => {
      isStopped = true;
    };
    stopped.then(mark, mark);
    for (let turns = 0; !isStopped && turns < 100; turns += 1) await this.clock.advance(100);
    await stopped;
    const { authorizer } = this.#parts;
    if (authorizer instanceof CedarAuthorizer) authorizer.close();
  }
}

interface Parts {
  readonly clock: TestClock;
  readonly data: MemoryData;
  /** Those that a restarted engine finds. */
  readonly agents: Agent[];
  readonly authorizer: Authorizer;
  readonly templates: ReadonlyMap<string, WorkflowTemplate>;
  readonly maxParallelTasks: number | null;
}

/** Throws `policy_invalid`, and `config_invalid` for an agent. */
export async function openTestEngine(options: TestEngineOptions): Promise<TestEngine> {
  const { workflows, agents = [], policies, clock = new TestClock(), maxParallelTasks = null } = options;
  const authorizer =
    policies === undefined ? new AllowAllAuthorizer() : await CedarAuthorizer.loadFromDir(policies);
  return new TestEngine({
    clock,
    data: emptyMemory(),
    agents: [...agents],
    authorizer,
    templates: new Map([...workflows].map((template) => [template.name, template])),
    maxParallelTasks,
  });
}
