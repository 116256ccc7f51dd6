/** Who looks at every commit: the reference model, the hash chain, the clock, and what was promised. */
import { hash } from 'node:crypto';
import type { WorkflowEvent } from '../../src/core/events.js';
import type { ArtifactRef, BlobRef, WorkflowInstance } from '../../src/core/instance.js';
import type { Commit, StoredInstance, TaskOrder, TaskOutcome } from '../../src/core/ports.js';
import type { Attempt } from './agents.js';
import type { Disk, LogRecord, Written } from './disk.js';
import { isEqual } from './equal.js';
import { Ledger } from './ledger.js';
import { type Asked, type Oracle, Reading } from './model.js';
import { Complaint, demand, differenceOf, hasEnded, ModelInstance } from './model-state.js';
import type { SimulatedProcess } from './process.js';
import type { World } from './world.js';

interface Head {
  readonly revision: number;
  readonly seq: number;
  readonly hash: string;
}
/** What the first `count` entries of a log lead to, and the state that it was last compared with. */
interface Replayed {
  readonly count: number;
  readonly state: WorkflowInstance;
  readonly checked: WorkflowInstance;
}
const CHAIN_START: Head = { revision: 0, seq: 0, hash: '0'.repeat(64) };

export class Watch {
  readonly #world: World;
  readonly ledger: Ledger;
  readonly models = new Map<string, ModelInstance>();
  readonly #heads = new Map<string, Head>();
  readonly #asked = new Map<string, Asked>();
  readonly #replayed = new Map<string, Replayed>();
  /** Who has asked for something that is in the history as allowed. */
  readonly #granted = new Set<string>();
  /** By attempt and status: whether it was said to be retryable. */
  readonly #answers = new Map<string, Map<string, ReadonlySet<boolean>>>();
  readonly #oracle: Oracle;
  /** Whose commit is being read. */
  #writer = 0;

  constructor(world: World) {
    this.#world = world;
    this.ledger = new Ledger(world, this.models);
    this.#oracle = {
      wishOf: (user) => this.#asked.get(user),
      answersOf: (taskId, status) => this.#answers.get(taskId)?.get(status),
      hasDecided: (id, stage, action, isAllow) =>
        world.decisions.get(`${this.#writer}/${id}/${stage}/${action}`) === isAllow,
      agentServes: (agent, role) => world.knows(agent, role),
      canBeLost: (taskId, reason) => this.ledger.canBeLost(taskId, reason, this.#writer),
    };
  }

  // ---- what the engine does ----------------------------------------------------------------------------------------

  onSaving(process: SimulatedProcess, { previous, next, at, events }: Commit): void {
    const now = process.clock.now();
    const before = previous?.instance.updatedAt ?? 0;
    if (at > Math.max(now, before)) this.#world.violate(`instance ${next.id} is ahead of the clock`);
    if (at < before) this.#world.violate(`the time of instance ${next.id} runs backwards`);
    this.ledger.onSaving(process, next.id, events);
  }

  onWritten(process: SimulatedProcess, { commit, entry }: Written): void {
    const { next, events } = commit;
    const world = this.#world;
    world.coverage.data.figures.commits += 1;
    world.coverage.data.figures.events += events.length;
    if (process.number !== world.newest)
      world.violate(`process ${process.number} writes after it was replaced`);
    this.#writer = process.number;
    this.#take(commit, entry, this.#oracle);
    this.ledger.onCommitted(process.number, next.id, events);
  }

  /** Takes in what was on disk before the world began, as `before` saw it. */
  readPast(records: readonly LogRecord[], before: Watch): void {
    for (const [user, asked] of before.#asked) this.#asked.set(user, asked);
    const past: Oracle = { ...this.#oracle, hasDecided: () => true, canBeLost: () => true };
    const oracle: Oracle = {
      ...past,
      answersOf: (taskId, status) => before.#answers.get(taskId)?.get(status),
    };
    for (const { commit, entry, fence } of records) {
      const { next, events } = commit;
      this.#take(commit, entry, oracle);
      this.ledger.onCommitted(fence, next.id, events);
      this.ledger.onPast(next.id, events);
      for (const event of events) {
        if (event.type !== 'stage_authorized' || event.decision.effect === 'deny') continue;
        const run = this.models.get(next.id)?.stage(event.stage).run ?? 0;
        this.#world.permits.add(`${next.id}/${event.stage}/${event.action}/${run}`);
      }
    }
    for (const [taskId, answers] of before.#answers) {
      if (this.ledger.wasDispatched(taskId)) this.#answers.set(taskId, new Map(answers));
    }
  }

  #take(commit: Commit, entry: Written['entry'], oracle: Oracle): void {
    const { next, events, at } = commit;
    const { id } = next;
    this.#followChain(id, commit, entry.text, entry.hash);
    try {
      this.#readModel(id, next, events, at, oracle);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const words = error instanceof Complaint ? error.message : `the model can't follow: ${error.message}`;
      this.#world.violate(`instance ${id} at revision ${next.revision}: ${words}`);
    }
    for (const event of events) {
      if (event.type === 'action_authorized' && event.decision.effect === 'allow')
        this.#granted.add(event.by.user);
    }
  }

  #followChain(id: string, { next, at }: Commit, text: string, found: string): void {
    const head = this.#heads.get(id) ?? CHAIN_START;
    const events = text.slice(text.indexOf(',"events":') + ',"events":'.length, -1);
    const fields = [head.hash, id, `${head.revision + 1}`, `${head.seq + 1}`, `${at}`, events];
    const encoded = fields.map((field) => `${field.length}:${field}`).join('');
    const expected = hash('sha256', encoded, 'hex');
    if (next.revision !== head.revision + 1) this.#world.violate(`instance ${id} skips a revision`);
    if (expected !== found) this.#world.violate(`the chain of instance ${id} is broken at ${next.revision}`);
    this.#heads.set(id, { revision: next.revision, seq: next.seq, hash: found });
  }

  #readModel(
    id: string,
    next: WorkflowInstance,
    events: readonly WorkflowEvent[],
    at: number,
    oracle: Oracle,
  ): void {
    const [first, ...rest] = events;
    let model = this.models.get(id);
    let left = events;
    if (model === undefined) {
      demand(first?.type === 'workflow_created', 'its history does not begin with its creation');
      model = this.#created(id, first);
      this.models.set(id, model);
      left = rest;
    }
    const before = hasEnded(model) ? model.status : null;
    const reading = new Reading(model, id, oracle, at);
    if (first?.type === 'workflow_created' && model.retryOf !== null) this.#owe(reading, model.retryOf);
    for (const event of left) reading.apply(event);
    reading.finish();
    demand(
      before === null || model.status === before,
      `it has ended as ${before} and is ${model.status} now`,
    );
    const difference = differenceOf(model, next);
    demand(difference === null, `the state is not what has happened: ${difference}`);
    this.#expectContent(next);
  }

  #created(id: string, event: Extract<WorkflowEvent, { type: 'workflow_created' }>): ModelInstance {
    const { templates, coverage } = this.#world;
    const template = templates.get(event.template);
    demand(template?.hash === event.templateHash, 'it is made of a template that nobody knows');
    demand(this.#world.disk.data.templates.has(template.hash), 'its template is not on disk');
    demand(event.decision.effect === 'allow', 'it is started without a permit');
    const [user, group] = [event.initiator.user, event.initiator.groups.join()];
    if (event.retryOf === null) {
      const plan = this.#world.scenario.starts.find((_, index) => user === `starter-${index}`);
      demand(plan?.workflow === event.template && plan.group === group, 'nobody has started it like this');
      demand(plan.id === null || plan.id === id, 'it is started with another id');
    }
    const { retryOf, deadlineAt } = event;
    return new ModelInstance(template, { retryOf, user, deadlineAt }, (table, from, to) =>
      coverage.transition(table, from, to),
    );
  }

  /** What a retry takes over: what stands, and is built upon nothing that does not. */
  #owe(reading: Reading, retryOf: string): void {
    const ended = this.models.get(retryOf);
    demand(ended?.status === 'failed' || ended?.status === 'cancelled', 'it retries what has not failed');
    const kept = new Set<string>();
    for (const { name, status, undo, template } of ended.stages) {
      const stands = status === 'completed' && (undo === 'none' || undo === 'skipped');
      if (stands && template.needs.every((need) => kept.has(need))) kept.add(name);
    }
    const stages = ended.stages.filter(({ name }) => kept.has(name));
    stages.sort((a, b) => (a.completion ?? 0) - (b.completion ?? 0));
    reading.due.push(...stages.map(({ name }) => `carry ${name}`));
  }

  #expectContent(instance: WorkflowInstance): void {
    const { blobs } = this.#world.disk.data;
    const isThere = (ref: BlobRef | ArtifactRef | null) =>
      ref === null || ref.inline !== undefined || blobs.has(ref.digest);
    for (const { name, tasks } of instance.stages) {
      const isWhole = tasks.every((task) => task.artifacts.every(isThere) && isThere(task.log));
      demand(isWhole, `stage ${name} refers to content that is not on disk`);
    }
  }

  /** What a process takes up again must be what the log leads to. */
  onRecovery(disk: Disk, live: readonly StoredInstance[]): void {
    for (const { instance } of live) this.checkLog(disk, instance);
  }

  checkLog(disk: Disk, instance: WorkflowInstance): void {
    const { code, templates, coverage } = this.#world;
    const template = templates.get(instance.templateName);
    const texts = disk.data.history.get(instance.id) ?? [];
    // what is written is never changed, so that it has to be read once only
    const read = this.#replayed.get(instance.id);
    if (read?.count === texts.length && read.checked === instance) return;
    let state = read?.state ?? null;
    for (const text of texts.slice(read?.count ?? 0)) {
      if (template !== undefined) state = code.evolve.applyEntry(template, state, code.chain.readEntry(text));
    }
    if (state !== null) this.#replayed.set(instance.id, { count: texts.length, state, checked: instance });
    coverage.data.figures.logs += 1;
    if (!isEqual(state, instance))
      this.#world.violate(`the log of instance ${instance.id} leads to another state`);
  }

  /** Nothing is going to happen any more: then no deadline is still to come, and nobody who is there is missed. */
  checkRest(): void {
    for (const [id, { status, stages, rollback, deadlineAt }] of this.models) {
      const isHalted = stages.some((stage) => stage.status === 'failed');
      if (hasEnded({ status }) || rollback !== null) continue;
      if (deadlineAt !== null && !isHalted) this.#world.violate(`nobody waits for the deadline of ${id}`);
      for (const stage of stages) {
        const isAsking = stage.status === 'waiting_approval' && !isHalted;
        const dueAt = isAsking
          ? stage.approvalDeadlineAt
          : stage.status === 'running'
            ? stage.deadlineAt
            : null;
        if (dueAt !== null) this.#world.violate(`nobody waits for the deadline of ${id}/${stage.name}`);
        if (stage.block?.code === 'role_unserved')
          this.#world.violate(`${id}/${stage.name} misses an agent who is there`);
      }
    }
  }

  onTold(id: string, seq: number): void {
    const head = this.#heads.get(id);
    if ((head?.seq ?? 0) < seq)
      this.#world.violate(`listeners hear of event ${seq} of ${id} before it is on disk`);
  }

  onDispatch(attempt: Attempt, isThere: boolean): void {
    this.ledger.onDispatch(attempt, isThere, this.models.get(attempt.order.workflow_id));
  }

  // ---- what agents and people do -----------------------------------------------------------------------------------

  onAnswer({ order }: Attempt, outcome: TaskOutcome): void {
    const { status } = outcome;
    const answers = this.#answers.get(order.task_id) ?? new Map<string, ReadonlySet<boolean>>();
    const isRetryable = status === 'failed' && outcome.isRetryable;
    answers.set(status, new Set([...(answers.get(status) ?? []), isRetryable]));
    this.#answers.set(order.task_id, answers);
  }

  /** The transport says that the attempt is gone with its agent. */
  onLost({ order }: Attempt): void {
    this.ledger.onLost(order.task_id);
  }

  onSign(attempt: Attempt): void {
    this.ledger.onSign(attempt);
  }

  onStepKept(order: TaskOrder, step: { name: string; value: unknown }): void {
    this.ledger.onStepKept(order, step);
  }

  onEffect(attempt: Attempt): void {
    this.ledger.onEffect(attempt);
  }

  onAsked(user: string, asked: Asked): void {
    this.#asked.set(user, asked);
  }

  /** The engine says that it is done: it must be on disk. */
  onGranted(user: string, instance: WorkflowInstance): void {
    if (!this.#granted.has(user)) this.#world.violate(`${user} is told what is not on disk`);
    this.#expectOnDisk(user, instance.id, instance.revision);
  }

  onRefused(user: string, code: string): void {
    if (this.#granted.has(user)) this.#world.violate(`${user} is refused with ${code} what was done`);
  }

  onStarted(user: string, id: string): void {
    this.#expectOnDisk(user, id, 1);
  }

  #expectOnDisk(user: string, id: string, revision: number): void {
    const found = this.#heads.get(id)?.revision ?? 0;
    if (found < revision) this.#world.violate(`${user} is told of ${id}@${revision}, on disk is ${found}`);
  }
}
