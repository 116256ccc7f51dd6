import { describe, expect, it } from 'vitest';
import { type CronTimes, parseCron } from '../config/cron.js';
import type { CatchUp } from '../core/trigger.js';
import { MAX_CAUGHT_UP, nextTurn } from './schedule-rules.js';

const HOUR = 3_600_000;
const NOON = Date.parse('2026-05-01T12:00:00Z');

function hourly(): CronTimes {
  const parsed = parseCron('0 * * * *', 'UTC');
  if (!parsed.ok) throw new Error('a cron expression');
  return parsed.times;
}

function turn(
  catchUp: CatchUp,
  until: number,
  now: number,
  more: { isPaused?: boolean; within?: number } = {},
) {
  const { isPaused = false, within = 24 * HOUR } = more;
  return nextTurn({ catchUp, catchUpWithinMs: within }, hourly(), { until, now, isPaused });
}

describe('a schedule', () => {
  it('does nothing before its time', () => {
    expect(turn('latest', NOON, NOON + HOUR - 1)).toEqual({ kind: 'none' });
  });

  it.each(['skip', 'latest', 'all'] as const)(
    'starts on time, or a little late, with catch_up = "%s"',
    (rule) => {
      expect(turn(rule, NOON, NOON + HOUR)).toEqual({ kind: 'start', at: NOON + HOUR });
      expect(turn(rule, NOON, NOON + HOUR + 60_000)).toEqual({ kind: 'start', at: NOON + HOUR });
    },
  );

  it('passes over what it missed where it is not to catch up', () => {
    const reason = 'it passed too long ago';
    expect(turn('skip', NOON, NOON + 3 * HOUR + 60_001)).toEqual({
      kind: 'skip',
      at: NOON + 3 * HOUR,
      reason,
    });
    expect(turn('skip', NOON, NOON + 3 * HOUR + 5)).toEqual({ kind: 'start', at: NOON + 3 * HOUR });
  });

  it('starts once for the latest that it missed', () => {
    expect(turn('latest', NOON, NOON + 5.5 * HOUR)).toEqual({ kind: 'start', at: NOON + 5 * HOUR });
    expect(turn('latest', NOON + 5 * HOUR, NOON + 5.5 * HOUR)).toEqual({ kind: 'none' });
  });

  it('starts for each that it missed, the first first', () => {
    expect(turn('all', NOON, NOON + 5.5 * HOUR)).toEqual({ kind: 'start', at: NOON + HOUR });
    expect(turn('all', NOON + HOUR, NOON + 5.5 * HOUR)).toEqual({ kind: 'start', at: NOON + 2 * HOUR });
  });

  it('catches up no further back than it may', () => {
    expect(turn('all', NOON, NOON + 5.5 * HOUR, { within: 2 * HOUR })).toEqual({
      kind: 'start',
      at: NOON + 4 * HOUR,
    });
    const late = turn('latest', NOON, NOON + 5.5 * HOUR, { within: 0.4 * HOUR });
    expect(late).toMatchObject({ kind: 'skip', at: NOON + 5 * HOUR });
    const years = turn('all', NOON - 10_000 * HOUR, NOON, { within: 20_000 * HOUR });
    expect(years).toEqual({ kind: 'start', at: NOON - (MAX_CAUGHT_UP - 1) * HOUR });
  });

  it('lets everything pass while it is paused', () => {
    const reason = 'the schedule is paused';
    expect(turn('all', NOON, NOON + 5 * HOUR, { isPaused: true })).toEqual({
      kind: 'skip',
      at: NOON + 5 * HOUR,
      reason,
    });
  });
});
