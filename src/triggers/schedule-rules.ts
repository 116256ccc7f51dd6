/** What a schedule does next. Pure: times, the mark and the clock are arguments. */
import type { CronTimes } from '../config/cron.js';
import type { ScheduleTrigger } from '../core/trigger.js';

/** What is looked at a little late, or after a quick restart, is not late. */
export const ON_TIME_MS = 60_000;
/** Starts that are made up for in one go; those before are given up. */
export const MAX_CAUGHT_UP = 100;

export type Turn =
  | { readonly kind: 'none' }
  /** This time, and what was due before it, is over without a start. */
  | { readonly kind: 'skip'; readonly at: number; readonly reason: string }
  | { readonly kind: 'start'; readonly at: number };

/** `until`: times up to it have been dealt with. */
export function nextTurn(
  trigger: Pick<ScheduleTrigger, 'catchUp' | 'catchUpWithinMs'>,
  times: CronTimes,
  state: { readonly until: number; readonly isPaused: boolean; readonly now: number },
): Turn {
  const { until, now } = state;
  const first = times.next(until);
  if (first === null || first > now) return { kind: 'none' };
  const due = times.previous(now, trigger.catchUp === 'all' ? MAX_CAUGHT_UP : 1).filter((at) => at > until);
  const newest = due.at(-1) ?? first;
  if (state.isPaused) return { kind: 'skip', at: newest, reason: 'the schedule is paused' };
  const windowMs = trigger.catchUp === 'skip' ? ON_TIME_MS : Math.max(ON_TIME_MS, trigger.catchUpWithinMs);
  const at = due.find((time) => time >= now - windowMs);
  return at === undefined
    ? { kind: 'skip', at: newest, reason: 'it passed too long ago' }
    : { kind: 'start', at };
}
