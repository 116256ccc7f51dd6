/** The people: who start instances, who wish for things at the worst moment, and who settle in the end what nobody else does. */
import type { StartResult, WorkflowApi } from '../../src/core/api.js';
import type { EventType, WorkflowEvent } from '../../src/core/events.js';
import type { Principal, WorkflowInstance } from '../../src/core/instance.js';
import type { Asked } from './model.js';
import { hasEnded } from './model-state.js';
import type { Chance, Moment, StartPlan, WishPlan, WishType } from './scenario.js';
import type { World } from './world.js';

/** What tells nothing about whether it was done. */
const UNSURE = ['store_failed', 'store_fenced', 'engine_stopping'];
/** How often somebody asks again who got no answer. */
const MAX_TRIES = 4;
/** From then on people give up on an instance rather than trying again. */
const PATIENT_ROUNDS = 3;
const MAX_ROUNDS = 12;

export class Wishers {
  readonly #world: World;
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Map<string, WishPlan[]>();
  #people: number;

  constructor(world: World) {
    this.#world = world;
    this.#people = world.past === null ? 0 : world.past.world.wishers.#people;
    if (world.past !== null) return;
    const { starts, wishes } = world.scenario;
    for (const [index, start] of starts.entries()) {
      for (let time = 0; time < start.times; time += 1) {
        world.timeline.after(start.atMs + time, () => this.#start(index, start, 1));
      }
    }
    for (const wish of wishes) {
      if ('atMs' in wish.when) {
        world.timeline.after(wish.when.atMs, () => this.#wish(wish));
      } else {
        const key = `${wish.when.moment} ${wish.when.event} ${wish.when.nth}`;
        const waiting = this.#waiting.get(key);
        if (waiting === undefined) this.#waiting.set(key, [wish]);
        else waiting.push(wish);
      }
    }
  }

  /** An event has come to that point. */
  onEvents(moment: Moment, events: readonly WorkflowEvent[]): void {
    for (const event of events) {
      if (this.#waiting.size > 0) this.#count(moment, event.type);
      if (moment !== 'told') continue;
      if (event.type === 'approval_requested') this.#consider(event.stage);
      if (event.type === 'stage_completed') this.#react('turned_back', ['rollback_to'], event.stage);
      if (event.type === 'workflow_blocked') {
        this.#react('tried_again', ['retry', 'rollback_to', 'retry_letter', 'resolve_letter'], event.stage);
      }
    }
  }

  /** Somebody may want to go back to the stage, or on from it. */
  #react(chance: Chance, types: readonly WishType[], stage: string): void {
    const world = this.#world;
    this.#people += 1;
    const key = `reaction ${this.#people}`;
    const type = types[world.spanOf(key, 0, types.length - 1)];
    if (type === undefined || !world.isSo(chance, key)) return;
    world.timeline.after(world.spanOf(`${key} later`, 0, 60_000), () => {
      for (const [id, { instance }] of world.disk.data.instances) {
        const found = instance.stages.find(({ name }) => name === stage);
        const isMeant =
          type === 'retry'
            ? instance.status === 'blocked'
            : type === 'rollback_to'
              ? found?.status === 'completed' && !hasEnded(instance)
              : found?.compensation.status === 'dead_lettered';
        if (isMeant) return this.ask({ type, stage }, id, 'root');
      }
    });
  }

  #count(moment: Moment, type: EventType): void {
    const key = `${moment} ${type}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    for (const wish of this.#waiting.get(`${key} ${count}`) ?? []) {
      const delayMs = 'delayMs' in wish.when ? wish.when.delayMs : 0;
      this.#world.timeline.after(delayMs, () => this.#wish(wish));
    }
  }

  /** Somebody may look at what waits for an approval. */
  #consider(stage: string): void {
    const world = this.#world;
    this.#people += 1;
    const key = `approver ${this.#people}`;
    const type: WishType | null = world.isSo('rejected', key)
      ? 'reject'
      : world.isSo('approved', key)
        ? 'approve'
        : null;
    if (type === null) return;
    world.timeline.after(world.spanOf(key, 0, 30_000), () => {
      for (const [id, { instance }] of world.disk.data.instances) {
        const isWaiting = instance.stages.some(
          ({ name, status }) => name === stage && status === 'waiting_approval',
        );
        if (isWaiting) return this.ask({ type, stage }, id, 'root');
      }
    });
  }

  #start(index: number, plan: StartPlan, tries: number): void {
    const world = this.#world;
    const user = `starter-${index}`;
    const again = () => {
      if (plan.id === null || tries >= MAX_TRIES) return;
      world.timeline.after(2_000 * tries, () => this.#start(index, plan, tries + 1));
    };
    const initiator = { user, groups: [plan.group] };
    const { workflow, id } = plan;
    const request = { workflow, initiator, input: { number: index }, ...(id === null ? {} : { id }) };
    this.#call(
      user,
      (api) => api.start(request),
      (result: StartResult) => world.watch?.onStarted(user, result.id),
      (code) => {
        world.coverage.wish(`start: ${code}`);
        if (code === 'lost' || UNSURE.includes(code)) again();
      },
    );
  }

  #wish({ type, start, stage, group }: WishPlan): void {
    const id = this.#idOf(start);
    if (id !== undefined) this.ask({ type, stage }, id, group);
  }

  #idOf(start: number): string | undefined {
    const plan = this.#world.scenario.starts[start];
    if (plan !== undefined && plan.id !== null) return plan.id;
    for (const [id, { instance }] of this.#world.disk.data.instances) {
      if (instance.initiator.user === `starter-${start}`) return id;
    }
    return undefined;
  }

  ask(asked: Asked, id: string, group: string): void {
    const world = this.#world;
    this.#people += 1;
    const user = `person-${this.#people}`;
    world.watch?.onAsked(user, asked);
    world.note(`${user} of ${group}: ${asked.type} ${id} ${asked.stage}`);
    world.coverage.data.figures.wishes += 1;
    this.#call(
      user,
      (api) => wishOf(api, asked, id, { user, groups: [group] }),
      (instance: WorkflowInstance) => {
        world.coverage.wish(`${asked.type}: granted`);
        if (instance.id === id) world.watch?.onGranted(user, instance);
        else world.watch?.onStarted(user, instance.id);
      },
      (code) => {
        world.coverage.wish(`${asked.type}: ${code}`);
        if (code !== 'lost' && !UNSURE.includes(code)) world.watch?.onRefused(user, code);
      },
    );
  }

  /** The answer is one more thing that the process does to the world. */
  #call<T>(
    user: string,
    call: (api: WorkflowApi) => Promise<T>,
    onDone: (result: T) => void,
    onFailed: (code: string) => void,
  ): void {
    const world = this.#world;
    const { process, engine } = world;
    if (process === null || engine === null) return onFailed('lost');
    process.onDeath(() => onSettled(() => onFailed('lost')));
    let isSettled = false;
    const onSettled = (then: () => void) => {
      if (isSettled) return;
      isSettled = true;
      then();
    };
    process.enter(() => {
      call(engine).then(
        (result) => process.port('answer', () => onSettled(() => onDone(result)), undefined),
        (error: unknown) => {
          const code = error instanceof world.code.errors.VaporaError ? error.code : null;
          const isExpected = code !== null && (code !== 'revision_conflict' || process.isZombie);
          if (!isExpected && !process.isDead) world.violate(`${user} gets no answer but ${String(error)}`);
          process.port('answer', () => onSettled(() => onFailed(code ?? 'broken')), undefined);
        },
      );
    });
  }

  // ---- in the end --------------------------------------------------------------------------------------------------

  /** Everything rests: somebody goes on with what waits for a person. False: there is nothing. */
  settle(round: number): boolean {
    const wishes = [...this.#world.disk.data.instances.values()].flatMap(({ instance }) =>
      this.#settled(instance, round),
    );
    if (wishes.length > 0 && round >= MAX_ROUNDS) {
      this.#world.violate(
        `there is no end to it: ${wishes.map(({ id, asked }) => `${asked.type} ${id}`).join(', ')}`,
      );
      return false;
    }
    for (const { id, asked } of wishes) this.ask(asked, id, 'root');
    return wishes.length > 0;
  }

  #settled(instance: WorkflowInstance, round: number): { id: string; asked: Asked }[] {
    const { id, status, stages } = instance;
    const ask = (type: WishType, stage = '-') => ({ id, asked: { type, stage } });
    const isPatient = round < PATIENT_ROUNDS;
    const coin = this.#world.spanOf(`settle ${id} ${round}`, 0, 99);
    const letters = stages.filter(({ compensation }) => compensation.status === 'dead_lettered');
    if (letters.length > 0)
      return letters.map(({ name }) => ask(isPatient && coin < 60 ? 'retry_letter' : 'resolve_letter', name));
    if (hasEnded(instance)) {
      const isTried = status === 'completed' || instance.retryOf !== null || round > 1 || coin >= 30;
      return isTried ? [] : [ask('retry')];
    }
    if (!isPatient || coin < 10) return [ask('cancel_bare')];
    const waiting = stages.filter((stage) => stage.status === 'waiting_approval');
    if (status === 'waiting_approval')
      return waiting.map(({ name }) =>
        ask(coin < 20 ? 'reject' : coin < 50 ? 'approve_digest' : 'approve', name),
      );
    const completed = stages.find(({ completion }) => completion !== null);
    if (coin < 25 && completed !== undefined) return [ask('rollback_to', completed.name)];
    return [ask(coin < 60 ? 'retry' : 'resume')];
  }
}

async function wishOf(api: WorkflowApi, asked: Asked, id: string, by: Principal): Promise<WorkflowInstance> {
  const { type, stage } = asked;
  switch (type) {
    case 'approve':
      return api.approve(id, stage, by);
    case 'approve_digest': {
      const instance = await api.get(id);
      const digest = instance.stages.find(({ name }) => name === stage)?.approval?.digest;
      return api.approve(id, stage, by, digest === undefined ? {} : { digest });
    }
    case 'approve_stale':
      return api.approve(id, stage, by, { digest: 'f'.repeat(64) });
    case 'reject':
      return api.reject(id, stage, by, 'not like this');
    case 'cancel':
      return api.cancel(id, by, { compensate: true });
    case 'cancel_bare':
      return api.cancel(id, by, { compensate: false });
    case 'rollback':
      return api.rollback(id, by);
    case 'rollback_to':
      return api.rollback(id, by, stage);
    case 'retry':
      return api.retry(id, by);
    case 'resume':
      return api.resume(id, by);
    case 'retry_letter':
      return api.retryDeadLetter(`${id}/${stage}`, by);
    case 'resolve_letter':
      return api.resolveDeadLetter(`${id}/${stage}`, by, 'put right by hand');
  }
}
