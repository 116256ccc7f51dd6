import { describe, expect, it } from 'vitest';
import { type CronTimes, isTimeZone, parseCron } from './cron.js';

const at = (iso: string) => Date.parse(iso);
const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

function timesOf(cron: string, timezone: string): CronTimes {
  const parsed = parseCron(cron, timezone);
  if (!parsed.ok) throw new Error(`${cron} is no cron expression`);
  return parsed.times;
}

function walk(times: CronTimes, from: number, to: number): number[] {
  const found: number[] = [];
  for (let next = times.next(from); next !== null && next <= to; next = times.next(next)) found.push(next);
  return found;
}

describe('a cron expression', () => {
  it('follows the local time of its zone', () => {
    const times = timesOf('0 2 * * *', 'Europe/Berlin');
    expect(iso(times.next(at('2026-01-10T00:00:00Z')))).toBe('2026-01-10T01:00:00.000Z');
    expect(iso(times.next(at('2026-07-10T00:30:00Z')))).toBe('2026-07-11T00:00:00.000Z');
  });

  it('comes once a day where the clocks are changed', () => {
    const times = timesOf('30 2 * * *', 'Europe/Berlin');
    // 02:30 does not exist on 29 March and exists twice on 25 October
    const spring = walk(times, at('2026-03-28T12:00:00Z'), at('2026-03-30T12:00:00Z'));
    expect(spring.map(iso)).toEqual(['2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z']);
    const autumn = walk(times, at('2026-10-24T12:00:00Z'), at('2026-10-26T12:00:00Z'));
    expect(autumn.map(iso)).toEqual(['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z']);
  });

  it.each(['30 2 * * *', '*/20 * * * *', '0 0 1 * *', '15 3,4 * * 1-5', '*/7 30 2 * * *'])(
    'looks back at the times that it looked forward to: %s',
    (cron) => {
      const times = timesOf(cron, 'Europe/Berlin');
      for (const [from, to] of [
        ['2026-03-27T22:00:00.500Z', '2026-03-30T02:00:00Z'],
        ['2026-10-24T22:00:00Z', '2026-10-26T05:00:00.900Z'],
      ] as const) {
        const forward = walk(times, at(from), at(to));
        const back = times.previous(at(to), 100).filter((time) => time > at(from));
        expect(back).toEqual(forward.slice(-100));
      }
    },
  );

  it('counts its own time as the last one', () => {
    const times = timesOf('*/10 * * * * *', 'UTC');
    const noon = at('2026-05-01T12:00:00Z');
    expect(times.previous(noon, 1)).toEqual([noon]);
    expect(times.previous(noon - 1, 1)).toEqual([noon - 10_000]);
    expect(times.next(noon)).toBe(noon + 10_000);
  });

  it('has no time where there is no such day', () => {
    expect(timesOf('0 0 30 2 *', 'UTC').next(at('2026-01-01T00:00:00Z'))).toBeNull();
  });

  it.each(['', 'soon', '* * * *', '60 * * * *', '0 0 0 1 1 * 2030', '* * * * * * * *'])(
    'refuses %j',
    (cron) => {
      expect(parseCron(cron, 'UTC').ok).toBe(false);
    },
  );
});

describe('isTimeZone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires'])('knows %s', (zone) => {
    expect(isTimeZone(zone)).toBe(true);
  });
  it.each(['', 'Mars/Olympus', 'Europe/Berln'])('does not know %j', (zone) => {
    expect(isTimeZone(zone)).toBe(false);
  });
});
