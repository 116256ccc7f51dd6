import { describe, expect, it } from 'vitest';
import { defineWorkflow } from '../config/define.js';
import type { Charge, SharedBudget } from '../core/budget.js';
import { TestClock } from '../testing/test-clock.js';
import { oldestChargeAt, Tally, windowAt } from './tally.js';

const shares = (per: SharedBudget['per'] | null) =>
  defineWorkflow({
    name: 'w',
    stages: [{ name: 'a', agents: ['x'] }],
    ...(per === null ? {} : { shared_budget: { per, tokens: 1 } }),
  });
const at = (text: string) => Date.parse(text);

describe('a window', () => {
  it.each<[SharedBudget['per'], string, string, string]>([
    ['hour', '2026-11-29T12:59:59.999Z', '2026-11-29T12:00:00Z', '2026-11-29T13:00:00Z'],
    ['hour', '2026-11-29T13:00:00Z', '2026-11-29T13:00:00Z', '2026-11-29T14:00:00Z'],
    ['day', '2026-12-31T23:59:59.999Z', '2026-12-31T00:00:00Z', '2027-01-01T00:00:00Z'],
    // a Sunday, and the Monday after it
    ['week', '2026-11-29T23:59:59.999Z', '2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z'],
    ['week', '2026-11-30T00:00:00Z', '2026-11-30T00:00:00Z', '2026-12-07T00:00:00Z'],
    ['month', '2028-02-29T12:00:00Z', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
    ['month', '2026-12-31T23:59:59.999Z', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ])('of a %s holds %s', (per, moment, fromAt, untilAt) => {
    expect(windowAt(per, at(moment))).toEqual({ fromAt: at(fromAt), untilAt: at(untilAt) });
  });

  it('begins no earlier than what is read for it', () => {
    // the week of the first of a month begins in the month before
    expect(oldestChargeAt(at('2026-12-01T10:00:00Z'))).toBe(at('2026-11-30T00:00:00Z'));
    expect(oldestChargeAt(at('2026-12-31T10:00:00Z'))).toBe(at('2026-12-01T00:00:00Z'));
  });
});

describe('a tally', () => {
  const charge = (hour: string, tokens: number, workflow = 'w'): Charge => ({
    workflow,
    hour: at(hour),
    spent: { tokens, microUsd: 0, ms: 0 },
  });

  it('counts what was used before and since, window by window and workflow by workflow', async () => {
    const clock = new TestClock();
    const kept = [
      charge('2026-11-29T23:00:00Z', 1),
      charge('2026-11-30T00:00:00Z', 10),
      charge('2026-11-30T00:00:00Z', 7, 'v'),
    ];
    let reads = 0;
    const charges = async () => {
      reads += 1;
      return kept;
    };
    const tally = new Tally({ charges }, clock);
    await tally.ready(shares(null));
    expect(reads).toBe(0);
    await Promise.all([tally.ready(shares('day')), tally.ready(shares('week'))]);
    expect(reads).toBe(1);
    tally.add(charge('2026-11-30T01:00:00Z', 100));
    const used = (per: SharedBudget['per'], moment: string, workflow = 'w') =>
      tally.useOf(workflow, per, at(moment)).spent.tokens;
    const now = '2026-11-30T01:30:00Z';
    expect((['hour', 'day', 'week', 'month'] as const).map((per) => used(per, now))).toEqual([
      100, 110, 110, 111,
    ]);
    expect(used('day', now, 'v')).toBe(7);
    expect(used('day', now, 'unheard of')).toBe(0);
    expect([used('hour', '2026-11-30T02:00:00Z'), used('day', '2026-12-01T00:00:00Z')]).toEqual([0, 0]);
    // of a window that is over, as a clock that was turned back may bring it
    tally.add(charge('2026-11-29T23:00:00Z', 1_000));
    expect([used('day', now), used('month', now)]).toEqual([110, 1_111]);
  });

  it('asks a store again that could not be read', async () => {
    let isIll = true;
    const charges = async () => {
      if (isIll) throw new Error('the connection was lost');
      return [charge('2026-11-30T00:00:00Z', 3)];
    };
    const tally = new Tally({ charges }, new TestClock());
    await expect(tally.ready(shares('day'))).rejects.toThrow('the connection was lost');
    isIll = false;
    await tally.ready(shares('day'));
    expect(tally.useOf('w', 'day', at('2026-11-30T12:00:00Z')).spent.tokens).toBe(3);
  });
});
