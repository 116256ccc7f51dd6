/**
 * One instance's mailbox: inputs one at a time, and for each batch of them the same four steps: decide, evolve, commit, and only
 * then do. Questions that change nothing in the world (the authorizer, the swarm) are answered before the commit, so that a stage's
 * end, the permit of the next and its dispatch are one commit.
 */
import { chargeOf } from '../core/budget.js';
import { type Decided, decideNext } from '../core/decide.js';
import { asksFor, effectsOf, type Question } from '../core/effects.js';
import { assert, VaporaError } from '../core/errors.js';
import { type Assignment, type Entry, recordsOf, type WorkflowEvent } from '../core/events.js';
import { applyEntry } from '../core/evolve.js';
import type { Moment, WorkflowInput } from '../core/inputs.js';
import { findTask, isLive, isWaiting, type TaskAddress, type WorkflowInstance } from '../core/instance.js';
import type { InstanceId } from '../core/names.js';
import type { StoredInstance } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { Attempts } from './attempts.js';
import { calledOff, inFlight } from './in-flight.js';
import { orderOf, taskIdOf } from './orders.js';
import { stageRequest } from './requests.js';
import { momentOf, type Shell } from './shell.js';
import { unknownInstance } from './unknown-instance.js';

interface Message {
  /** `create`: the first events of an instance that is not stored yet. */
  readonly input:
    | WorkflowInput
    | { readonly type: 'create'; readonly events: readonly WorkflowEvent[]; readonly at: number };
  /** Of `assigned`: the attempt that the agent's capacity is held for. */
  readonly taskId?: string;
  readonly resolve: ((instance: WorkflowInstance) => void) | null;
  readonly reject: ((error: unknown) => void) | null;
}

/** State and events of one turn, not committed yet. */
interface Turn {
  state: WorkflowInstance | null;
  readonly events: WorkflowEvent[];
  readonly moment: Moment;
}

export class InstanceActor {
  readonly id: InstanceId;
  readonly #template: WorkflowTemplate;
  readonly #shell: Shell;
  readonly #onIdle: (actor: InstanceActor) => void;
  readonly #attempts: Attempts;
  /** Task ids that wait in the swarm's queue. */
  readonly #wanted = new Map<string, TaskAddress>();
  /** Task ids that an agent's capacity is held for, and that no attempt has been started for yet; few, and mostly none. */
  #held: string[] = [];
  #stored: StoredInstance | null;
  #inbox: Message[] = [];
  #isTurning = false;
  #restWaiters: ((instance: WorkflowInstance) => void)[] = [];

  constructor(
    shell: Shell,
    template: WorkflowTemplate,
    id: InstanceId,
    stored: StoredInstance | null,
    onIdle: (actor: InstanceActor) => void,
  ) {
    this.#shell = shell;
    this.#template = template;
    this.id = id;
    this.#stored = stored;
    this.#onIdle = onIdle;
    this.#attempts = new Attempts(shell, this);
    if (stored !== null) this.#wake(stored.instance);
  }

  get instance(): WorkflowInstance | null {
    return this.#stored?.instance ?? null;
  }

  get template(): WorkflowTemplate {
    return this.#template;
  }

  send(input: WorkflowInput): void {
    this.#post({ input, resolve: null, reject: null });
  }

  /** Resolves with the state once the input's events are on disk; rejects where `decide` refuses it. */
  ask(input: Message['input']): Promise<WorkflowInstance> {
    return new Promise((resolve, reject) => this.#post({ input, resolve, reject }));
  }

  /** Resolves once nothing is under way and nothing will be without a person. */
  untilRest(): Promise<WorkflowInstance> {
    const { instance } = this;
    if (instance !== null && this.#isAtRest()) return Promise.resolve(instance);
    return new Promise((resolve) => this.#restWaiters.push(resolve));
  }

  /** The swarm found an agent for a task that had waited for one. */
  assigned(taskId: string, assignment: Assignment): void {
    const at = this.#wanted.get(taskId);
    this.#wanted.delete(taskId);
    if (at === undefined || this.#shell.isClosing) return this.#shell.swarm.release(taskId, 'neutral');
    const input = { type: 'assigned', ...at, assignment } as const;
    this.#post({ input, taskId, resolve: null, reject: () => this.#shell.swarm.release(taskId, 'neutral') });
  }

  /** The last agent of the role has gone while a task waited for one. */
  unserved(taskId: string): void {
    const at = this.#wanted.get(taskId);
    this.#wanted.delete(taskId);
    if (at !== undefined && !this.#shell.isClosing) this.send({ type: 'unserved', ...at });
  }

  /** The attempt's lease ran out. */
  expired(taskId: string): void {
    const { instance } = this;
    const found = instance === null ? undefined : inFlight(instance).find((task) => task.taskId === taskId);
    if (found !== undefined)
      this.send({ type: 'lost', ...found.at, attempt: found.attempt, reason: 'its lease ran out' });
  }

  isIdle(): boolean {
    const isQuiet = !this.#isTurning && this.#inbox.length === 0 && this.#restWaiters.length === 0;
    return isQuiet && this.#attempts.size === 0 && this.#wanted.size === 0;
  }

  /** Whatever was in flight died with the process before, unless its agent lives elsewhere and may come back to it. */
  #wake(instance: WorkflowInstance): void {
    const order = (at: TaskAddress) => orderOf(this.#template, instance, at, this.#shell.observer);
    for (const found of inFlight(instance)) {
      if (this.#attempts.resume(found, order)) continue;
      const { at, attempt } = found;
      this.send({ type: 'lost', ...at, attempt, reason: 'the engine was restarted' });
    }
    for (const found of calledOff(instance)) this.#attempts.callOff(found, order);
    const missed = instance.stages.flatMap(({ block }) => block?.role ?? []);
    if (missed.length > 0) {
      const served = new Set(this.#shell.swarm.status().flatMap((agent) => agent.roles));
      for (const role of missed) if (served.has(role)) this.send({ type: 'served', role });
    }
    this.send({ type: 'tick' });
  }

  #post(message: Message): void {
    this.#inbox.push(message);
    if (this.#isTurning) return;
    this.#isTurning = true;
    void this.#work();
  }

  async #work(): Promise<void> {
    // what arrives in the same tick shares a commit; costs a tenth of `queueMicrotask`
    await Promise.resolve();
    try {
      while (this.#inbox.length > 0) await this.#turn(this.#inbox.splice(0));
    } catch (error) {
      // nobody may wait for an answer that will not come
      for (const message of this.#inbox.splice(0)) message.reject?.(error);
      this.#shell.fail(error);
      return;
    } finally {
      this.#isTurning = false;
    }
    this.#settleWaiters();
    if (this.isIdle()) this.#onIdle(this);
  }

  async #turn(messages: readonly Message[]): Promise<void> {
    const stored = this.#stored;
    const moment = momentOf(this.#shell, this.#template, stored?.instance ?? null);
    const turn: Turn = { state: stored?.instance ?? null, events: [], moment };
    const granted: Message[] = [];
    try {
      for (const message of messages) if (this.#grant(turn, message)) granted.push(message);
      if (turn.state === null) return;
      this.#answerQuestions(turn);
      if (turn.events.length > 0) await this.#commit(turn);
    } catch (error) {
      for (const taskId of this.#held.splice(0)) this.#shell.swarm.release(taskId, 'neutral');
      for (const message of messages) message.reject?.(error);
      // nothing was written, and who asked knows it; any other failure of the store is the end of the process
      if (error instanceof VaporaError && error.code === 'instance_exists') return;
      throw error;
    }
    this.#reconcile(moment.now);
    for (const message of granted) message.resolve?.(this.#current());
  }

  /** False: refused, and whoever asked knows it. */
  #grant(turn: Turn, message: Message): boolean {
    if (turn.state === null && message.input.type !== 'create') {
      // its creation was refused
      message.reject?.(unknownInstance(this.id));
      return false;
    }
    try {
      this.#take(turn, message);
      return true;
    } catch (error) {
      if (message.reject === null || !(error instanceof VaporaError)) throw error;
      message.reject(error);
      return false;
    }
  }

  #current(): WorkflowInstance {
    const { instance } = this;
    assert(instance !== null, 'the instance exists');
    return instance;
  }

  #take(turn: Turn, { input, taskId }: Message): void {
    const { state } = turn;
    if (input.type === 'create') {
      assert(state === null, 'an instance is created once');
      const { events } = input;
      const entry = { instance: this.id, revision: 0, firstSeq: 1, at: turn.moment.now, events };
      return append(turn, { events, state: applyEntry(this.#template, null, entry) });
    }
    assert(state !== null, 'the instance exists');
    if (taskId !== undefined) {
      this.#held.push(taskId);
      // asked for before the task was reset: it waits for another agent now
      if (input.type === 'assigned' && nextTaskId(state, input) !== taskId) return;
    }
    append(turn, decideNext(this.#template, state, input, turn.moment));
  }

  /** Asks the authorizer and the swarm whatever the state wants to know, until it wants to know nothing more. */
  #answerQuestions(turn: Turn): void {
    if (this.#shell.isClosing) return;
    const { now } = turn.moment;
    for (let hasAnswered = true; hasAnswered; ) {
      hasAnswered = false;
      assert(turn.state !== null, 'the instance exists');
      for (const effect of effectsOf(this.#template, turn.state, now)) {
        if (effect.type !== 'authorize' && effect.type !== 'assign') continue;
        // an answer before may have made an end of it, and an agent must not be held for nothing
        if (hasAnswered && !asksFor(this.#template, turn.state, effect, now)) continue;
        const input = this.#answer(turn.state, effect, turn.moment);
        if (input === null) continue;
        append(turn, decideNext(this.#template, turn.state, input, turn.moment));
        // answers raise questions: the list is made anew once it has been gone through
        hasAnswered = true;
      }
    }
  }

  #answer(state: WorkflowInstance, effect: Question, moment: Moment): WorkflowInput | null {
    if (effect.type === 'authorize') {
      const { stage, action } = effect;
      const request = stageRequest(this.#template, state, stage, action, moment.shared(state));
      const decision = this.#shell.authorizer.authorize(request);
      if (decision.effect === 'deny') {
        this.#shell.log.warn({ instance: this.id, stage, action, reason: decision.reason }, 'denied');
      }
      return { type: 'authorization', stage, action, decision };
    }
    return this.#seekAgent(state, effect);
  }

  #seekAgent(state: WorkflowInstance, effect: Extract<Question, { type: 'assign' }>): WorkflowInput | null {
    // nothing may start until the stop is done, and the lease of an attempt that may not start would run out for nothing
    if (this.#attempts.isStopping) return null;
    const { stage, role, kind } = effect;
    const at = { stage, role, kind };
    const taskId = nextTaskId(state, at);
    // either waiting in the swarm's queue, or its agent's word is already in the inbox
    if (this.#wanted.has(taskId) || this.#inbox.some((message) => message.taskId === taskId)) return null;
    const answer = this.#shell.swarm.request({ key: taskId, instance: this.id, role });
    if (answer.kind === 'queued') {
      this.#wanted.set(taskId, at);
      return null;
    }
    if (answer.kind === 'unserved') return { type: 'unserved', ...at };
    this.#held.push(taskId);
    return { type: 'assigned', ...at, assignment: answer.assignment };
  }

  async #commit(turn: Turn): Promise<void> {
    const previous = this.#stored;
    assert(turn.state !== null, 'there is something to commit');
    const next = { ...turn.state, revision: (previous?.instance.revision ?? 0) + 1 };
    const at = turn.moment.now;
    const charge = chargeOf(this.#template, previous?.instance ?? null, next, at);
    // at once: whoever decides meanwhile must not go by less than what was used
    if (charge !== null) this.#shell.tally.add(charge);
    this.#stored = await this.#shell.store.save({ previous, next, at, events: turn.events, charge });
    this.#announce(previous?.instance ?? null, next, at, turn.events);
  }

  #announce(
    previous: WorkflowInstance | null,
    next: WorkflowInstance,
    at: number,
    events: readonly WorkflowEvent[],
  ): void {
    this.#shell.observer.committed({ previous, next, at, events });
    if (!this.#shell.hasListeners) return;
    const entry: Pick<Entry, 'firstSeq' | 'at' | 'instance' | 'events'> = {
      firstSeq: (previous?.seq ?? 0) + 1,
      at,
      instance: next.id,
      events,
    };
    for (const event of recordsOf(entry)) this.#shell.publish({ kind: 'event', event });
  }

  /** Starts what the committed state calls for and is not going on yet; stops what it no longer calls for. */
  #reconcile(now: number): void {
    const state = this.#current();
    const effects = effectsOf(this.#template, state, now);
    const executes = new Map<string, TaskAddress>();
    const assigns = new Set<string>();
    let dueAt: number | null = null;
    for (const effect of effects) {
      if (effect.type === 'timer') dueAt = effect.at;
      if (effect.type !== 'execute' && effect.type !== 'assign') continue;
      const at = { stage: effect.stage, role: effect.role, kind: effect.kind };
      if (effect.type === 'execute') executes.set(taskIdOf(state, at, effect.attempt), at);
      else assigns.add(nextTaskId(state, at));
    }
    this.#attempts.reconcile(executes, (at) => orderOf(this.#template, state, at, this.#shell.observer));
    for (const taskId of [...this.#wanted.keys()]) {
      if (assigns.has(taskId)) continue;
      this.#wanted.delete(taskId);
      this.#shell.swarm.withdraw(taskId);
    }
    if (this.#held.length > 0) {
      const held = this.#held.filter((taskId) => !this.#attempts.has(taskId));
      this.#held = held.filter((taskId) => executes.has(taskId));
      for (const taskId of held) if (!executes.has(taskId)) this.#shell.swarm.release(taskId, 'neutral');
    }
    this.#shell.timers.set(this.id, isLive(state) ? dueAt : null);
  }

  #isAtRest(): boolean {
    const { instance } = this;
    if (instance === null || this.#isTurning || this.#attempts.size > 0) return false;
    return !isLive(instance) || isWaiting(instance);
  }

  #settleWaiters(): void {
    const { instance } = this;
    if (instance === null || this.#restWaiters.length === 0 || !this.#isAtRest()) return;
    const waiters = this.#restWaiters;
    this.#restWaiters = [];
    for (const resolve of waiters) resolve(instance);
  }
}

/** Of the attempt that the task's next dispatch will be. */
function nextTaskId(state: WorkflowInstance, at: TaskAddress): string {
  return taskIdOf(state, at, (findTask(state, at)?.attempt ?? 0) + 1);
}

function append(turn: Turn, { events, state }: Decided): void {
  turn.events.push(...events);
  turn.state = state;
}
