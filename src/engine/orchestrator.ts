/** The engine: owns the instances' actors, wakes them, and answers callers. */
import type { Logger } from 'pino';
import type { Happening, RollbackPreview, StartRequest, StartResult, WorkflowApi } from '../core/api.js';
import { type SharedUse, usedRatio } from '../core/budget.js';
import { denied } from '../core/decide.js';
import { assert, VaporaError } from '../core/errors.js';
import { WISH_ACTIONS, type WishInput } from '../core/inputs.js';
import { type Decision, isTerminal, type Principal, type WorkflowInstance } from '../core/instance.js';
import { asInstanceId, type Digest, type InstanceId } from '../core/names.js';
import type { AgentTransport, Authorizer, Clock, EngineObserver, WorkflowStore } from '../core/ports.js';
import { refuseUnlessRetryable } from '../core/retry.js';
import type { WorkflowTemplate } from '../core/template.js';
import { NO_OBSERVER } from '../observe/observers.js';
import { SwarmCoordinator } from '../swarm/coordinator.js';
import { AgentWords } from './agent-words.js';
import { Callers } from './callers.js';
import { parseLetter } from './dead-letters.js';
import { type AnchorsOf, InstanceReads } from './instance-reads.js';
import { Listeners } from './listeners.js';
import { wishRequest } from './requests.js';
import { Roster } from './roster.js';
import { SagaCompensator } from './saga-compensator.js';
import { momentOf, type Shell } from './shell.js';
import { checkStart, type StartLimits } from './start.js';
import { Starts } from './starts.js';
import { Tally } from './tally.js';
import { TimerQueue } from './timers.js';

export interface OrchestratorOptions {
  readonly store: WorkflowStore;
  readonly transport: AgentTransport;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly templates: ReadonlyMap<string, WorkflowTemplate>;
  /** Null: as many as the agents can take. */
  readonly maxParallelTasks: number | null;
  readonly limits: StartLimits;
  /** Default: nobody looks on. */
  readonly observer?: EngineObserver;
  /** How long a role counts as served after its last agent has left; default 0. */
  readonly agentGraceMs?: number;
  /** Default: nothing is remembered of what is gone. */
  readonly anchors?: AnchorsOf;
}

type Wish = WishInput extends infer W ? (W extends WishInput ? Omit<W, 'decision'> : never) : never;

export class WorkflowOrchestrator extends InstanceReads implements WorkflowApi {
  /** Resolves, with why, when the engine can't go on: the owner ends the process. */
  readonly failed: Promise<VaporaError>;
  readonly swarm: SwarmCoordinator;
  readonly saga = new SagaCompensator();
  readonly #tally: Tally;
  readonly agentWords: AgentWords;
  readonly #options: OrchestratorOptions;
  readonly #shell: Shell;
  readonly #timers: TimerQueue;
  readonly #roster: Roster;
  readonly #starts: Starts;
  readonly #listeners: Listeners;
  readonly #callers = new Callers();
  readonly #unsubscribe: () => void;
  #failure: VaporaError | null = null;
  #announceFailure: (error: VaporaError) => void = () => {};
  #isClosing = false;
  #closing: Promise<void> | null = null;
  /** Settled when no recovery is under way. */
  #recoveries: Promise<unknown> = Promise.resolve();

  constructor(options: OrchestratorOptions) {
    const { store, transport, authorizer, clock, log, maxParallelTasks, observer = NO_OBSERVER } = options;
    super(store, observer, options.anchors ?? (async () => []));
    this.#options = options;
    this.#listeners = new Listeners(log);
    this.failed = new Promise((resolve) => {
      this.#announceFailure = resolve;
    });
    this.#tally = new Tally(store, clock);
    this.#timers = new TimerQueue(clock, (id) => this.#wakeAndSend(asInstanceId(id)));
    this.swarm = new SwarmCoordinator({
      clock,
      maxParallelTasks,
      graceMs: options.agentGraceMs ?? 0,
      onAssigned: (want, assignment) => {
        const actor = this.#roster.get(want.instance);
        if (actor === undefined) this.swarm.release(want.key, 'neutral');
        else actor.assigned(want.key, assignment);
      },
      onUnserved: (want) => this.#roster.get(want.instance)?.unserved(want.key),
      onExpired: (key) => this.#roster.get(key.slice(0, key.indexOf('/')))?.expired(key),
    });
    const orchestrator = this;
    this.#shell = {
      store,
      transport,
      authorizer,
      clock,
      swarm: this.swarm,
      tally: this.#tally,
      timers: this.#timers,
      log,
      observer,
      get hasListeners() {
        return true;
      },
      get isClosing() {
        return orchestrator.#isClosing;
      },
      publish: (notice) => this.#publish(notice),
      fail: (error) => this.#fail(error),
    };
    this.#roster = new Roster(this.#shell);
    this.#starts = new Starts({
      shell: this.#shell,
      roster: this.#roster,
      callers: this.#callers,
      find: (id) => this.find(id),
    });
    this.agentWords = new AgentWords(this.#roster);
    this.swarm.setAgents(transport.agents());
    this.#unsubscribe = transport.onChange(() => this.#onAgents());
  }

  /** Instances in memory: those that something goes on in, or that were spoken to a moment ago. */
  get awake(): number {
    return this.#roster.size;
  }

  async start(request: StartRequest): Promise<StartResult> {
    const checked = checkStart(request, this.#options.templates, this.#options.limits);
    this.refuseIfDown();
    return this.#starts.start(checked, request.initiator);
  }

  approve(
    id: string,
    stage: string,
    by: Principal,
    more: { comment?: string; digest?: string } = {},
  ): Promise<WorkflowInstance> {
    const { comment = null, digest = null } = more;
    return this.#wish(id, { type: 'approve', stage, by, comment, digest });
  }

  reject(id: string, stage: string, by: Principal, reason: string): Promise<WorkflowInstance> {
    return this.#wish(id, { type: 'reject', stage, by, reason });
  }

  cancel(id: string, by: Principal, more: { compensate: boolean }): Promise<WorkflowInstance> {
    return this.#wish(id, { type: 'cancel', by, compensate: more.compensate });
  }

  rollback(id: string, by: Principal, to?: string): Promise<WorkflowInstance> {
    return this.#wish(id, { type: 'rollback', by, to: to ?? null });
  }

  /** What the instances of a workflow have used together in the present window of their shared budget; null: they share none. */
  async sharedUse(template: WorkflowTemplate): Promise<SharedUse | null> {
    const { name, sharedBudget } = template;
    if (sharedBudget === undefined) return null;
    await this.#tally.ready(template);
    return this.#tally.useOf(name, sharedBudget.per, this.#options.clock.now());
  }

  /** Of each workflow with a shared budget, the highest share that is used of an amount. */
  sharedRatios(): readonly { readonly workflow: string; readonly ratio: number }[] {
    const now = this.#options.clock.now();
    return [...this.#options.templates.values()].flatMap(({ name: workflow, sharedBudget }) => {
      if (sharedBudget === undefined) return [];
      const { spent } = this.#tally.useOf(workflow, sharedBudget.per, now);
      return [{ workflow, ratio: usedRatio(sharedBudget, spent) }];
    });
  }

  async previewRollback(id: string, to?: string): Promise<RollbackPreview> {
    const { instance } = await this.stored(id);
    const template = await this.#roster.templateOf(instance);
    const moment = momentOf(this.#shell, template, instance);
    return this.saga.preview(template, instance, to ?? null, moment);
  }

  async retry(id: string, by: Principal): Promise<WorkflowInstance> {
    const { instance } = await this.stored(id);
    if (!isTerminal(instance.status)) return this.#wish(id, { type: 'retry', by });
    const template = await this.#roster.templateOf(instance);
    const decision = this.#authorizeWish(template, instance, { type: 'retry', by });
    if (decision.effect === 'deny') return this.#wish(id, { type: 'retry', by });
    refuseUnlessRetryable(instance);
    return this.#starts.succeed(instance, template, decision);
  }

  resume(id: string, by: Principal): Promise<WorkflowInstance> {
    return this.#wish(id, { type: 'resume', by });
  }

  retryDeadLetter(letter: string, by: Principal): Promise<WorkflowInstance> {
    const { id, stage } = parseLetter(letter);
    return this.#wish(id, { type: 'retry_letter', by, stage });
  }

  resolveDeadLetter(letter: string, by: Principal, reason: string): Promise<WorkflowInstance> {
    const { id, stage } = parseLetter(letter);
    return this.#wish(id, { type: 'resolve_letter', by, stage, reason });
  }

  subscribe(listener: (notice: Happening) => void, id?: string): () => void {
    return this.#listeners.add(listener, id);
  }

  async untilRest(id: string): Promise<WorkflowInstance> {
    const { instance } = await this.stored(id);
    if (this.#roster.sleepsOn(instance)) return instance;
    const actor = await this.#roster.wake(instance.id);
    this.refuseIfDown();
    return this.#callers.wait(actor.untilRest());
  }

  /**
   * Removes an instance that has ended, with its history, where `head` is the hash of its last entry. False: something goes on in it
   * or has gone on since, so it was left alone. Who may, and when, is decided elsewhere.
   */
  purge(id: InstanceId, head: Digest): Promise<boolean> {
    this.refuseIfDown();
    const { store } = this.#options;
    return this.#roster.forget(id, async () => {
      const known = await store.summary(id);
      if (known === null || known.head !== head || known.isLive) return false;
      await store.delete(id);
      return true;
    });
  }

  /**
   * What was going on goes on; answers how many instances were woken for it. What waits for a person or an agent is left alone, and
   * woken when its deadline comes or, where it missed an agent, once there is one.
   */
  recover(): Promise<number> {
    const recovery = this.#recover();
    this.#recoveries = Promise.allSettled([this.#recoveries, recovery]);
    return recovery;
  }

  async #recover(): Promise<number> {
    for (const template of this.#options.templates.values()) await this.#tally.ready(template);
    const count = await this.#roster.wakeAll(() => this.#isClosing);
    if (this.#isClosing) return count;
    const roles = new Set(this.swarm.status().flatMap((agent) => agent.roles));
    return count + (await this.#wakeBlocked(roles));
  }

  /**
   * Stops what is going on without recording it as an outcome; it is resumed by the next engine. Whoever still waits then is told
   * `engine_stopping`. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#unsubscribe();
    this.#timers.close();
    this.#roster.close();
    this.swarm.close();
    try {
      await this.#options.transport.close();
      // it reads the store, and leaves off where it is
      await this.#recoveries;
      await this.#options.store.close();
    } finally {
      this.#callers.rejectAll(stopping());
    }
  }

  // ---- instances ---------------------------------------------------------------------------------------------------

  #wakeAndSend(id: InstanceId): void {
    if (this.#isClosing) return;
    this.#roster.wake(id).then(
      (actor) => actor.send({ type: 'tick' }),
      (error: unknown) => this.#fail(error),
    );
  }

  async #wish(id: string, wish: Wish): Promise<WorkflowInstance> {
    const stored = await this.stored(id);
    const asked: { decision: Decision; answer: Promise<WorkflowInstance> }[] = [];
    await this.#roster.tell(asInstanceId(id), (actor) => {
      this.refuseIfDown();
      // the commit that makes it may be on disk, and its actor not know yet
      const instance = actor.instance ?? stored.instance;
      const decision = this.#authorizeWish(actor.template, instance, wish);
      asked.push({ decision, answer: this.#callers.wait(actor.ask({ ...wish, decision } as WishInput)) });
    });
    const [wished] = asked;
    assert(wished !== undefined, 'the actor was spoken to');
    const after = await wished.answer;
    if (wished.decision.effect === 'deny') throw denied(WISH_ACTIONS[wish.type], wished.decision);
    return after;
  }

  #authorizeWish(
    template: WorkflowTemplate,
    instance: WorkflowInstance,
    wish: Parameters<typeof wishRequest>[2],
  ): Decision {
    const { shared } = momentOf(this.#shell, template, instance);
    return this.#options.authorizer.authorize(wishRequest(template, instance, wish, shared(instance)));
  }

  // ---- surroundings ------------------------------------------------------------------------------------------------

  #onAgents(): void {
    const before = new Set(this.swarm.status().flatMap((agent) => agent.roles));
    const agents = this.#options.transport.agents();
    this.swarm.setAgents(agents);
    const roles = new Set(agents.flatMap((agent) => agent.roles).filter((role) => !before.has(role)));
    if (roles.size === 0) return;
    for (const actor of this.#roster) for (const role of roles) actor.send({ type: 'served', role });
    this.#wakeBlocked(roles).catch((error: unknown) => this.#fail(error));
  }

  /** Those that wait for one of the roles and for nothing else, and so are not awake. */
  async #wakeBlocked(roles: ReadonlySet<string>): Promise<number> {
    let count = 0;
    for await (const { id } of this.summaries({ status: 'blocked' })) {
      if (this.#isClosing) return count;
      const stored = await this.find(id);
      const waits = stored?.instance.stages.some(({ block }) => roles.has(block?.role ?? ''));
      if (waits !== true) continue;
      await this.#roster.wake(id);
      count += 1;
    }
    return count;
  }

  #publish(notice: Happening): void {
    if (notice.kind === 'event') this.saga.observe(notice.event);
    this.#listeners.tell(notice);
  }

  protected override refuseIfDown(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#isClosing) throw stopping();
  }

  #fail(error: unknown): void {
    if (this.#failure !== null || this.#isClosing) return;
    const isOperating = error instanceof VaporaError;
    this.#failure = isOperating
      ? error
      : new VaporaError('store_failed', 'the engine met a condition that must not be', { cause: error });
    this.#options.log.fatal({ err: error }, 'the engine stops');
    this.#callers.rejectAll(this.#failure);
    this.#announceFailure(this.#failure);
  }
}

function stopping(): VaporaError {
  return new VaporaError('engine_stopping', 'the engine is stopping');
}
