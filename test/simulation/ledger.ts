/** What agents are asked to do and what they did to the world, held against what is on disk and what was allowed. */
import type { WorkflowEvent } from '../../src/core/events.js';
import type { TaskOrder } from '../../src/core/ports.js';
import type { Attempt } from './agents.js';
import { isEqual } from './equal.js';
import type { ModelInstance } from './model-state.js';
import { buildsUpon } from './model-undo.js';
import type { SimulatedProcess } from './process.js';
import type { World } from './world.js';

/** By the clock of the process that the attempt is with. */
interface Silence {
  since: number;
  longest: number;
  readonly process: SimulatedProcess;
  readonly leaseMs: number | null;
}

export class Ledger {
  readonly #world: World;
  readonly #dispatched = new Set<string>();
  /** Keys whose result is in a history. */
  readonly #applied = new Set<string>();
  /** Idempotency keys, by attempt. */
  readonly #keys = new Map<string, string>();
  /** Numbers of the processes that committed to have the attempts carried out. */
  readonly #committedBy = new Map<string, number>();
  /** Attempts of agents elsewhere that did not come back. */
  readonly #lost = new Set<string>();
  readonly #silences = new Map<string, Silence>();
  readonly #savedAt = new Map<string, number>();
  readonly #steps = new Map<string, { name: string; value: unknown }[]>();
  /** `<idempotency key>/<name>`. */
  readonly #stepsOnDisk = new Set<string>();
  /** Digests of what a task has made, by instance, stage and role. */
  readonly #made = new Map<string, string>();
  /** `<instance>/<stage>#<run>` that something was taken back of. */
  readonly #undone = new Set<string>();

  readonly #models: ReadonlyMap<string, ModelInstance>;

  constructor(world: World, models: ReadonlyMap<string, ModelInstance>) {
    this.#world = world;
    this.#models = models;
  }

  onSaving(process: SimulatedProcess, id: string, events: readonly WorkflowEvent[]): void {
    const now = process.clock.now();
    // an agent can't have been taken before the commit before, nor by another process: the lease began after both
    const place = `${process.number}/${id}`;
    const since = this.#savedAt.get(place) ?? process.startedAt;
    for (const event of events) {
      if (event.type !== 'task_dispatched') continue;
      const leaseMs = this.#world.leaseOf(event.assignment.agent);
      this.#silences.set(`${process.number}/${event.idempotencyKey}#${event.attempt}`, {
        since,
        longest: 0,
        process,
        leaseMs,
      });
    }
    this.#savedAt.set(place, now);
  }

  /** `writer`: number of the process. */
  onCommitted(writer: number, id: string, events: readonly WorkflowEvent[]): void {
    for (const event of events) {
      if (event.type === 'task_dispatched') {
        this.#committedBy.set(`${event.idempotencyKey}#${event.attempt}`, writer);
        this.#keys.set(placeOf(id, event), event.idempotencyKey);
      } else if (event.type === 'step_completed') {
        this.#stepsOnDisk.add(`${this.#keys.get(placeOf(id, event)) ?? placeOf(id, event)}/${event.name}`);
      } else if (event.type === 'stage_carried_over') {
        for (const { role, artifacts } of event.artifacts) {
          this.#made.set(`${id}/${event.stage}/${role}`, artifacts.map(({ digest }) => digest).join());
        }
      } else if (event.type === 'task_completed') {
        const key = this.#keys.get(placeOf(id, event)) ?? placeOf(id, event);
        if (this.#applied.has(key)) this.#world.violate(`two results of ${key} are applied`);
        this.#applied.add(key);
        if (event.kind === 'execute') {
          this.#made.set(
            `${id}/${event.stage}/${event.role}`,
            event.artifacts.map(({ digest }) => digest).join(),
          );
        }
      }
    }
  }

  /**
   * What was committed before the world began: whether an attempt was dispatched then, and which steps were kept, is what its
   * history says.
   */
  onPast(id: string, events: readonly WorkflowEvent[]): void {
    for (const event of events) {
      if (event.type === 'task_dispatched') {
        this.#dispatched.add(`${event.idempotencyKey}#${event.attempt}`);
      } else if (event.type === 'step_completed') {
        const { name, value } = event;
        this.#keepStep(this.#keys.get(placeOf(id, event)) ?? placeOf(id, event), { name, value });
      }
    }
  }

  wasDispatched(taskId: string): boolean {
    return this.#dispatched.has(taskId);
  }

  #runOf(id: string, stage: string): number {
    return this.#models.get(id)?.stage(stage).run ?? 0;
  }

  /** Why an attempt may be recorded as lost. */
  canBeLost(taskId: string, reason: string, writer: number): boolean {
    if (reason === 'its agent did not come back') return this.#lost.has(taskId);
    if (reason === 'the engine was restarted') return (this.#committedBy.get(taskId) ?? writer) < writer;
    const silence = this.#silences.get(`${writer}/${taskId}`);
    if (reason !== 'its lease ran out' || silence === undefined || silence.leaseMs === null) return false;
    return Math.max(silence.longest, silence.process.clock.now() - silence.since) >= silence.leaseMs;
  }

  onLost(taskId: string): void {
    this.#lost.add(taskId);
  }

  onSign({ order, process }: Attempt): void {
    const silence = this.#silences.get(`${process.number}/${order.task_id}`);
    if (silence === undefined) return;
    const now = process.clock.now();
    silence.longest = Math.max(silence.longest, now - silence.since);
    silence.since = now;
  }

  /** The agent is told that its step is kept. */
  onStepKept({ idempotency_key: key }: TaskOrder, step: { name: string; value: unknown }): void {
    if (!this.#stepsOnDisk.has(`${key}/${step.name}`))
      this.#world.violate(`step ${step.name} of ${key} is said to be kept and is not on disk`);
    this.#keepStep(key, step);
  }

  #keepStep(key: string, step: { name: string; value: unknown }): void {
    const kept = this.#steps.get(key);
    if (kept === undefined) this.#steps.set(key, [step]);
    else kept.push(step);
  }

  // ---- dispatch ----------------------------------------------------------------------------------------------------

  onDispatch({ order, process }: Attempt, isThere: boolean, model: ModelInstance | undefined): void {
    const { world } = { world: this.#world };
    world.coverage.effect(`dispatch ${order.type}`);
    const complain = (words: string) => world.violate(`dispatch of ${order.task_id}: ${words}`);
    if (this.#dispatched.has(order.task_id)) complain('it was dispatched before');
    this.#dispatched.add(order.task_id);
    // what has been replaced and does not know it yet may still ask agents for what it had committed before
    if (process.isZombie) return;
    if (model === undefined) return complain('the instance is not on disk');
    const complaint = this.#complaintAbout(order, model) ?? this.#complaintAboutLoad(order, process, isThere);
    if (complaint !== null) complain(complaint);
  }

  #complaintAbout(order: TaskOrder, model: ModelInstance): string | null {
    const isUndo = order.type === 'compensation';
    const stage = model.stage(order.stage_name);
    const tasks = isUndo ? stage.undoTasks : stage.tasks;
    const task = tasks.find(({ role }) => role === order.role);
    const isOnDisk =
      task?.attempt === order.attempt && (task.status === 'dispatched' || task.status === 'running');
    if (!isOnDisk) return 'on disk it is not with an agent';
    if (this.#applied.has(order.idempotency_key)) return 'it is done already';
    const kept = this.#steps.get(order.idempotency_key) ?? [];
    const isKept =
      kept.every((step) => order.steps.some((given) => isEqual(given, step))) &&
      new Set(order.steps.map(({ name }) => name)).size === order.steps.length;
    if (!isKept) return 'steps that were kept are not handed over';
    if (isUndo) return this.#complaintAboutUndo(order, model);
    return this.#complaintAboutPermit(order, model) ?? this.#complaintAboutGiven(order, model);
  }

  /** What was made in all stages that this one builds upon, in their present runs, and nothing else. */
  #complaintAboutGiven(
    { workflow_id: id, stage_name: name, artifacts }: TaskOrder,
    model: ModelInstance,
  ): string | null {
    const { stages } = model.template;
    const before = model.stages.filter((stage) => buildsUpon(stages, name, stage.name));
    const expected = before.flatMap((stage) =>
      stage.tasks.flatMap(({ role }) => {
        const made = this.#made.get(`${id}/${stage.name}/${role}`) ?? '';
        return made === '' ? [] : made.split(',').map((digest) => `${stage.name}/${role} ${digest}`);
      }),
    );
    const given = artifacts.map(({ stage, role, digest }) => `${stage}/${role} ${digest}`);
    return expected.sort().join() === given.sort().join() ? null : 'it is not given what was made before';
  }

  #complaintAboutPermit(order: TaskOrder, model: ModelInstance): string | null {
    const { stage_name, workflow_id } = order;
    const stage = model.stage(stage_name);
    const isAllowed = (action: string) =>
      this.#world.permits.has(`${workflow_id}/${stage_name}/${action}/${stage.run}`);
    if (!isAllowed('execute-stage')) return 'nobody has permitted it';
    const { approvalRequired, irreversible } = stage.template;
    if (approvalRequired && !stage.isApproved) return 'nobody has approved it';
    if (irreversible && !stage.isApproved && !isAllowed('pass-point-of-no-return'))
      return 'nobody has permitted to pass this point of no return';
    return null;
  }

  #complaintAboutUndo(order: TaskOrder, model: ModelInstance): string | null {
    const { stage_name: name, workflow_id: id } = order;
    const stage = model.stage(name);
    const { rollback } = model;
    if (rollback === null) return 'nothing is taken back';
    if (stage.template.irreversible && stage.tasks.some(({ attempt }) => attempt > 0))
      return 'it takes back a point of no return';
    const running = model.stages.filter(({ undo, isLetter }) => undo === 'running' && !isLetter).length;
    if (running > model.template.sagaParallelism) return 'too much is taken back at once';
    const made = stage.tasks.flatMap(({ role }) => this.#made.get(`${id}/${name}/${role}`) ?? []);
    const given = stage.tasks.flatMap(({ role }) => {
      const own = order.artifacts_to_undo.filter((artifact) => artifact.role === role);
      return own.length === 0 ? [] : [own.map(({ digest }) => digest).join()];
    });
    const isWhole = given.every((digests) => made.includes(digests));
    return isWhole ? null : 'what is to be undone is not what was made';
  }

  #complaintAboutLoad(order: TaskOrder, process: SimulatedProcess, isThere: boolean): string | null {
    const { fleet, scenario } = this.#world;
    let [all, own] = [0, 0];
    for (const attempt of fleet.attempts) {
      const isSame = attempt.order.idempotency_key === order.idempotency_key;
      if (isSame && !attempt.isGone && !attempt.process.isZombie)
        return `${attempt.order.task_id} is still at it`;
      // one that was taken up counts from when its instance was woken; until then others may have been given its place
      if (attempt.process !== process || attempt.wasTakenUp) continue;
      all += 1;
      if (attempt.order.agent === order.agent) own += 1;
      if (attempt.isStopping && attempt.order.workflow_id === order.workflow_id)
        return `${attempt.order.task_id} is being stopped`;
    }
    if (scenario.maxParallelTasks !== null && all >= scenario.maxParallelTasks)
      return 'too much goes on at once';
    const capacity = fleet.find(order.agent)?.maxConcurrent ?? 0;
    return isThere && own >= capacity ? `agent ${order.agent} has its hands full` : null;
  }

  // ---- effects -----------------------------------------------------------------------------------------------------

  onEffect({ order, process }: Attempt): void {
    const world = this.#world;
    if (process.isZombie) return;
    const run = `${order.workflow_id}/${order.stage_name}#${this.#runOf(order.workflow_id, order.stage_name)}`;
    if (order.type === 'task') {
      if (this.#undone.has(run)) world.violate(`${order.task_id} acts after its stage was taken back`);
      return;
    }
    this.#undone.add(run);
    for (const other of world.fleet.attempts) {
      const isSame =
        other.order.workflow_id === order.workflow_id && other.order.stage_name === order.stage_name;
      if (!isSame || other.order.type !== 'task' || other.isGone || other.process.isZombie) continue;
      world.violate(`${order.task_id} meets ${other.order.task_id}, which it takes back`);
    }
  }
}

function placeOf(id: string, at: { stage: string; role: string; kind: string; attempt: number }): string {
  return `${id}/${at.stage}/${at.role}/${at.kind}#${at.attempt}`;
}
