/** The actors of the instances that are awake. An instance that nothing goes on in lives in the store alone. */
import { wakeAtOf } from '../core/deadlines.js';
import { assert } from '../core/errors.js';
import { isWaiting, type WorkflowInstance } from '../core/instance.js';
import type { Digest, InstanceId } from '../core/names.js';
import type { StoredInstance } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { Alarm } from './alarm.js';
import { nextTurn } from './clock.js';
import { InstanceActor } from './instance-actor.js';
import type { Shell } from './shell.js';
import { unknownInstance } from './unknown-instance.js';

/** Woken in one go; a few milliseconds' work. */
const WAKE_BURST = 500;

export class Roster implements Iterable<InstanceActor> {
  readonly #shell: Shell;
  readonly #alarm: Alarm;
  readonly #actors = new Map<string, InstanceActor>();
  readonly #waking = new Map<string, Promise<InstanceActor>>();
  readonly #templates = new Map<Digest, WorkflowTemplate>();
  /** Instances that have gone to sleep while the store was being read for recovery, by reading. */
  readonly #leftDuring = new Set<Set<string>>();
  readonly #onIdle = (actor: InstanceActor): void => this.#retire(actor);

  constructor(shell: Shell) {
    const { clock, store } = shell;
    this.#shell = shell;
    this.#alarm = new Alarm({
      clock,
      wakeDue: (until) => this.#wakeSleepers(until),
      nextWakeAt: (after) => store.nextWakeAt(after),
      fail: (error) => shell.fail(error),
    });
  }

  [Symbol.iterator](): Iterator<InstanceActor> {
    return [...this.#actors.values()][Symbol.iterator]();
  }

  get size(): number {
    return this.#actors.size;
  }

  get(id: string): InstanceActor | undefined {
    return this.#actors.get(id);
  }

  /** Whether it sleeps and waking it would change nothing: it waits for a person, and its deadline has not come. */
  sleepsOn(instance: WorkflowInstance): boolean {
    const { id, status } = instance;
    if (this.#actors.has(id) || this.#waking.has(id) || status !== 'waiting_approval') return false;
    const at = wakeAtOf(instance);
    return at === null || at > this.#shell.clock.now();
  }

  /** The instance's actor, woken if need be; `stored` spares the look into the store. Throws `instance_unknown`. */
  wake(id: InstanceId, stored?: StoredInstance): Promise<InstanceActor> {
    const awake = this.#actors.get(id) ?? this.#wakeKnown(id, stored);
    if (awake !== undefined) return Promise.resolve(awake);
    return this.#waking.get(id) ?? this.#beginWaking(id, stored ?? null, () => {});
  }

  /** At once, where nothing has to be read for it: so it is with all but the first when many are recovered. */
  #wakeKnown(id: InstanceId, stored: StoredInstance | undefined): InstanceActor | undefined {
    if (stored === undefined || this.#waking.has(id)) return undefined;
    const template = this.#templates.get(stored.instance.templateHash);
    return template === undefined ? undefined : this.add(template, id, stored);
  }

  /**
   * Speaks to the instance's actor. One that has to be woken for it hears it in its first turn, before it takes up its work again:
   * what a cancel ends must not be dispatched once more before. Throws `instance_unknown`, and what `speak` throws.
   */
  async tell(id: InstanceId, speak: (actor: InstanceActor) => void): Promise<void> {
    const awake = this.#actors.get(id);
    if (awake !== undefined) return speak(awake);
    // nothing is awaited before the waking begins: a second one might read what is old by the time the first has gone to sleep again
    const waking = this.#waking.get(id);
    if (waking === undefined) await this.#beginWaking(id, null, speak);
    else speak(await waking);
  }

  /**
   * Has `remove` take an instance that sleeps out of the store; it answers whether it has. Whoever wants to wake it meanwhile waits,
   * and finds it gone, or wakes it after all. False: it is awake, or was left alone by `remove`.
   */
  async forget(id: InstanceId, remove: () => Promise<boolean>): Promise<boolean> {
    if (this.#actors.has(id) || this.#waking.has(id)) return false;
    const removing = remove().finally(() => this.#waking.delete(id));
    const waking = removing.then((isGone) => {
      if (isGone) throw unknownInstance(id);
      return this.wake(id);
    });
    // nobody may want it
    waking.catch(() => undefined);
    this.#waking.set(id, waking);
    return removing;
  }

  #beginWaking(
    id: InstanceId,
    stored: StoredInstance | null,
    speak: (actor: InstanceActor) => void,
  ): Promise<InstanceActor> {
    assert(!this.#waking.has(id), `${id} is woken once at a time`);
    const waking = this.#load(id, stored, speak).finally(() => this.#waking.delete(id));
    this.#waking.set(id, waking);
    return waking;
  }

  /** `stored` is null for an instance that is about to be created. */
  add(template: WorkflowTemplate, id: InstanceId, stored: StoredInstance | null): InstanceActor {
    const actor = new InstanceActor(this.#shell, template, id, stored, this.#onIdle);
    this.#actors.set(id, actor);
    return actor;
  }

  remove(actor: InstanceActor): void {
    if (this.#actors.get(actor.id) !== actor) return;
    this.#actors.delete(actor.id);
    for (const left of this.#leftDuring) left.add(actor.id);
  }

  /**
   * Wakes every instance that something goes on in or whose time has come; answers how many. From then on those that sleep are woken
   * when their time comes. Stops early where `isStopped` says so.
   */
  async wakeAll(isStopped: () => boolean): Promise<number> {
    const now = this.#shell.clock.now();
    let count = 0;
    for await (const batch of this.#due(-1, now)) {
      for (const wake of batch) {
        if (isStopped()) return count;
        await wake();
        count += 1;
        // what has been woken gets on with it while the rest is being woken
        if (count % WAKE_BURST === 0) await nextTurn();
      }
    }
    await this.#alarm.turnOn(now);
    return count;
  }

  /** Nobody is woken any more by the time. */
  close(): void {
    this.#alarm.close();
  }

  /** One batch after the other: no more are awake for it at a time than are read at a time. */
  async #wakeSleepers(until: number): Promise<void> {
    for await (const batch of this.#due(0, until)) {
      const turns = batch.map(async (wake) => (await wake()).ask({ type: 'tick' }));
      await Promise.all(turns);
    }
  }

  async *#due(after: number, until: number): AsyncGenerator<readonly (() => Promise<InstanceActor>)[]> {
    const left = new Set<string>();
    this.#leftDuring.add(left);
    try {
      for await (const batch of this.#shell.store.loadActive(after, until)) {
        yield batch.map((stored) => () => {
          const { id } = stored.instance;
          // what was awake since the store was read may have moved on from what was read
          return this.wake(id, left.has(id) ? undefined : stored);
        });
      }
    } finally {
      this.#leftDuring.delete(left);
    }
  }

  /**
   * Not at once: whoever has just woken the actor speaks to it in a later microtask, and must not speak to one that the next caller
   * no longer finds, because two actors of one instance would overtake each other.
   */
  #retire(actor: InstanceActor): void {
    this.#shell.clock.after(0, () => {
      if (!actor.isIdle()) return;
      this.remove(actor);
      this.#leaveToAlarm(actor);
    });
  }

  /** What waits, perhaps for days, is not kept in memory, not even its time; what waits for its next attempt is. */
  #leaveToAlarm({ id, instance }: InstanceActor): void {
    if (!this.#alarm.isOn || instance === null || !isWaiting(instance)) return;
    const at = wakeAtOf(instance);
    this.#shell.timers.set(id, null);
    if (at !== null) this.#alarm.note(at);
  }

  /** Resolves once the template is on disk: an instance must never outlive what it was started with. */
  async keepTemplate(template: WorkflowTemplate): Promise<void> {
    await this.#shell.tally.ready(template);
    if (this.#templates.has(template.hash)) return;
    await this.#shell.store.saveTemplate(template);
    this.#templates.set(template.hash, template);
  }

  async templateOf(instance: WorkflowInstance): Promise<WorkflowTemplate> {
    const known = this.#templates.get(instance.templateHash);
    if (known !== undefined) return known;
    const template = await this.#shell.store.loadTemplate(instance.templateHash);
    assert(template !== null, `the template of ${instance.id} was saved before it`);
    await this.#shell.tally.ready(template);
    this.#templates.set(instance.templateHash, template);
    return template;
  }

  async #load(
    id: InstanceId,
    given: StoredInstance | null,
    speak: (actor: InstanceActor) => void,
  ): Promise<InstanceActor> {
    const stored = given ?? (await this.#shell.store.load(id));
    if (stored === null) throw unknownInstance(id);
    const template = await this.templateOf(stored.instance);
    const actor = this.#actors.get(id) ?? this.add(template, id, stored);
    // not after the next `await`: its first turn may have begun by then
    speak(actor);
    return actor;
  }
}
