/**
 * Starts instances when their time has come. A loop that looks what is due since the last time that was dealt with: what it missed,
 * because it was late, the engine was down or a start was refused for the moment, is due at the next look.
 */
import type { Logger } from 'pino';
import { type CronTimes, parseCron } from '../config/cron.js';
import { nearest, quoted, shown } from '../config/text.js';
import type { Notice, ScheduleApi, ScheduleInfo, WorkflowApi } from '../core/api.js';
import { denied } from '../core/decide.js';
import { assert, VaporaError } from '../core/errors.js';
import { isTerminal, type Principal } from '../core/instance.js';
import { asInstanceId } from '../core/names.js';
import type { Authorizer, Clock, TriggerBook, TriggerMark } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import type { ScheduleTrigger } from '../core/trigger.js';
import { scheduleRequest } from '../engine/requests.js';
import { nextTurn, type Turn } from './schedule-rules.js';
import { scheduledId } from './start-ids.js';

/** At the latest after this time the loop looks again, whatever it was told or not told. */
const LOOK_EVERY_MS = 60_000;
/** After a start that was refused for the moment. */
const TRY_AGAIN_MS = 5_000;

interface Schedule {
  readonly workflow: string;
  readonly trigger: ScheduleTrigger;
  readonly times: CronTimes;
  readonly spec: string;
}

export interface SchedulerOptions {
  readonly api: Pick<WorkflowApi, 'start' | 'get' | 'subscribe'>;
  readonly book: TriggerBook;
  readonly clock: Clock;
  readonly log: Logger;
  readonly authorizer: Authorizer;
}

export class Scheduler implements ScheduleApi {
  readonly #options: SchedulerOptions;
  #schedules = new Map<string, Schedule>();
  readonly #marks = new Map<string, TriggerMark>();
  #loading: Promise<void> | null = null;
  /** One thing at a time is done to the marks. */
  #last: Promise<unknown> = Promise.resolve();
  /** Instances whose end a schedule waits for. */
  readonly #awaited = new Set<string>();
  #unsubscribe: (() => void) | null = null;
  #cancelTimer: (() => void) | null = null;
  #isClosed = false;

  constructor(options: SchedulerOptions, templates: ReadonlyMap<string, WorkflowTemplate>) {
    this.#options = options;
    this.#setSchedules(templates);
  }

  /** Begins to start what is due. */
  start(): void {
    if (this.#unsubscribe !== null || this.#isClosed) return;
    this.#unsubscribe = this.#options.api.subscribe((notice) => this.#hear(notice));
    this.look();
  }

  /** Other templates from now on: a schedule that has not changed goes on where it is. */
  replace(templates: ReadonlyMap<string, WorkflowTemplate>): void {
    this.#setSchedules(templates);
    if (this.#unsubscribe !== null) this.look();
  }

  /** Looks now, after whatever is under way. */
  look(): void {
    void this.#inTurn(() => this.#look());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe?.();
    this.#cancelTimer?.();
    await this.#last.catch(() => undefined);
  }

  async schedules(): Promise<readonly ScheduleInfo[]> {
    return this.#inTurn(async () => {
      await this.#load();
      const infos: ScheduleInfo[] = [];
      for (const schedule of this.#schedules.values()) infos.push(await this.#info(schedule));
      return infos;
    });
  }

  pauseSchedule(workflow: string, by: Principal): Promise<ScheduleInfo> {
    return this.#change(workflow, by, (mark) => ({
      ...mark,
      paused: mark.paused ?? { by: by.user, at: this.#options.clock.now() },
    }));
  }

  /** What passed while it was paused is over. */
  resumeSchedule(workflow: string, by: Principal): Promise<ScheduleInfo> {
    return this.#change(workflow, by, (mark) =>
      mark.paused === null ? mark : { ...mark, paused: null, until: this.#options.clock.now() },
    );
  }

  #change(
    workflow: string,
    by: Principal,
    change: (mark: TriggerMark) => TriggerMark,
  ): Promise<ScheduleInfo> {
    return this.#inTurn(async () => {
      await this.#load();
      const schedule = this.#schedules.get(workflow);
      if (schedule === undefined) throw this.#unknown(workflow);
      const decision = this.#options.authorizer.authorize(scheduleRequest(workflow, by));
      if (decision.effect === 'deny') throw denied(`manage-schedule\` of \`${workflow}`, decision);
      const mark = await this.#markOf(schedule);
      const changed = change(mark);
      if (changed !== mark) {
        await this.#keep(changed);
        const what = changed.paused === null ? 'schedule resumed' : 'schedule paused';
        this.#options.log.info({ workflow, by: by.user }, what);
      }
      if (this.#unsubscribe !== null) this.look();
      return this.#info(schedule);
    });
  }

  #setSchedules(templates: ReadonlyMap<string, WorkflowTemplate>): void {
    this.#schedules = new Map();
    for (const { name, trigger } of templates.values()) {
      if (trigger === 'manual' || trigger.kind !== 'schedule') continue;
      const parsed = parseCron(trigger.cron, trigger.timezone);
      assert(parsed.ok, 'the expression of a template was checked');
      const spec = `${trigger.timezone} ${trigger.cron}`;
      this.#schedules.set(name, { workflow: name, trigger, times: parsed.times, spec });
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    this.#last = next.catch(() => undefined);
    return next;
  }

  #load(): Promise<void> {
    this.#loading ??= this.#options.book.marks().then((marks) => {
      for (const mark of marks) this.#marks.set(mark.workflow, mark);
    });
    return this.#loading;
  }

  async #look(): Promise<void> {
    if (this.#isClosed) return;
    this.#cancelTimer?.();
    this.#awaited.clear();
    let wakeAt = this.#options.clock.now() + LOOK_EVERY_MS;
    try {
      await this.#load();
      for (const schedule of this.#schedules.values()) {
        wakeAt = Math.min(wakeAt, (await this.#work(schedule)) ?? wakeAt);
      }
    } catch (error) {
      // a store that fails ends the process, by its own way; anything else is looked at again
      if (!this.#isClosed) this.#options.log.error({ err: error }, 'schedules could not be looked at');
    }
    if (this.#isClosed) return;
    const { clock } = this.#options;
    this.#cancelTimer = clock.after(Math.max(1, wakeAt - clock.now()), () => this.look());
  }

  /** Does everything that is due; answers when to look again; null: it is told, or not before long. */
  async #work(schedule: Schedule): Promise<number | null> {
    for (;;) {
      if (this.#isClosed) return null;
      const mark = await this.#markOf(schedule);
      const turn = this.#turnOf(schedule, mark);
      if (turn.kind === 'none') return schedule.times.next(mark.until);
      if (turn.kind === 'skip') {
        await this.#settle(mark, turn.at, 'skipped', turn.reason);
        continue;
      }
      const id = scheduledId(schedule.workflow, turn.at);
      const busy = await this.#busyWith(schedule, mark, id);
      if (busy !== null && schedule.trigger.overlap === 'wait') {
        this.#awaited.add(busy);
        return null;
      }
      if (busy !== null) {
        await this.#settle(mark, turn.at, 'skipped', `\`${busy}\` has not ended`);
        continue;
      }
      if (!(await this.#fire(schedule, mark, turn.at, id))) return this.#options.clock.now() + TRY_AGAIN_MS;
    }
  }

  #turnOf({ trigger, times }: Schedule, mark: TriggerMark): Turn {
    const state = { until: mark.until, isPaused: mark.paused !== null, now: this.#options.clock.now() };
    return nextTurn(trigger, times, state);
  }

  /** The instance before, where it has not ended and the schedule minds. What a crash left behind is no instance before. */
  async #busyWith({ trigger }: Schedule, { lastId }: TriggerMark, id: string): Promise<string | null> {
    if (trigger.overlap === 'allow' || lastId === null || lastId === id) return null;
    try {
      return isTerminal((await this.#options.api.get(lastId)).status) ? null : lastId;
    } catch (error) {
      if (error instanceof VaporaError && error.code === 'instance_unknown') return null;
      throw error;
    }
  }

  /** False: not now. The id is noted before, so that an engine that dies in between still knows what may be under way. */
  async #fire(schedule: Schedule, mark: TriggerMark, at: number, id: string): Promise<boolean> {
    const { workflow, trigger } = schedule;
    const noted = { ...mark, lastId: asInstanceId(id) };
    if (mark.lastId !== id) await this.#keep(noted);
    try {
      const labels = { scheduled: new Date(at).toISOString() };
      const { input, initiator } = trigger;
      await this.#options.api.start({ workflow, id, input, initiator, labels });
      await this.#settle(noted, at, 'started', null);
    } catch (error) {
      if (!(error instanceof VaporaError) || error.code.startsWith('store_')) throw error;
      if (error.isRetryable) {
        this.#options.log.warn({ workflow, instance: id, reason: error.message }, 'scheduled start put off');
        return false;
      }
      if (error.code === 'instance_exists') {
        // started before the input was changed, or by hand: what has this id is what belongs to this time
        await this.#settle(noted, at, 'started', null);
        return true;
      }
      this.#options.log.warn({ workflow, instance: id, reason: error.message }, 'scheduled start refused');
      await this.#settle({ ...noted, lastId: mark.lastId }, at, 'refused', error.message);
    }
    return true;
  }

  async #settle(
    mark: TriggerMark,
    at: number,
    outcome: 'started' | 'skipped' | 'refused',
    reason: string | null,
  ): Promise<void> {
    if (outcome === 'skipped') {
      const { workflow } = mark;
      this.#options.log.info(
        { workflow, scheduled: new Date(at).toISOString(), reason },
        'scheduled start skipped',
      );
    }
    await this.#keep({ ...mark, until: at, last: { at, outcome, reason } });
  }

  async #keep(mark: TriggerMark): Promise<void> {
    await this.#options.book.saveMark(mark);
    this.#marks.set(mark.workflow, mark);
  }

  /** A schedule that is new, or has become another one, begins now; whether it is paused is not forgotten. */
  async #markOf({ workflow, spec }: Schedule): Promise<TriggerMark> {
    const known = this.#marks.get(workflow);
    if (known?.spec === spec) return known;
    const { lastId = null, last = null, paused = null } = known ?? {};
    const mark = { workflow, spec, until: this.#options.clock.now(), lastId, last, paused };
    await this.#keep(mark);
    return mark;
  }

  async #info(schedule: Schedule): Promise<ScheduleInfo> {
    const { workflow, trigger, times } = schedule;
    const { last, lastId, paused, until } = await this.#markOf(schedule);
    const { cron, timezone, overlap, catchUp } = trigger;
    const next = paused === null ? times.next(Math.max(until, this.#options.clock.now())) : null;
    return { workflow, cron, timezone, overlap, catchUp, nextAt: next, last, lastId, paused };
  }

  #hear(notice: Notice): void {
    if (notice.kind !== 'event' || !this.#awaited.has(notice.event.workflow_id)) return;
    const { type } = notice.event;
    const hasEnded =
      type === 'workflow_completed' || type === 'workflow_failed' || type === 'workflow_cancelled';
    if (hasEnded) this.look();
  }

  #unknown(workflow: string): VaporaError {
    const names = [...this.#schedules.keys()];
    const meant = nearest(workflow, names);
    const known = names.slice(0, 10).map(quoted).join(', ');
    const hint =
      names.length === 0
        ? 'no workflow has `trigger = "schedule"`'
        : meant !== undefined
          ? `did you mean ${quoted(meant)}?`
          : `the schedules are ${known}`;
    return new VaporaError('schedule_unknown', `no workflow \`${shown(workflow)}\` has a schedule`, { hint });
  }
}
