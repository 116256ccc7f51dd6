import { describe, expect, it } from 'vitest';
import { type Candidate, chooseAgent, NEUTRAL_SUCCESS_RATE, nextSuccessRate, scoreOf } from './assignment.js';

function agent(name: string, more: Partial<Candidate> = {}): Candidate {
  return { name, capacity: 2, inFlight: 0, successRate: NEUTRAL_SUCCESS_RATE, lastAssigned: 0, ...more };
}

describe('choosing an agent', () => {
  const cases: { name: string; candidates: Candidate[]; chosen: string | null }[] = [
    { name: 'nobody of nobody', candidates: [], chosen: null },
    {
      name: 'nobody where all are full',
      candidates: [agent('a', { inFlight: 2 }), agent('b', { inFlight: 3 })],
      chosen: null,
    },
    {
      name: 'who has room',
      candidates: [agent('a', { inFlight: 2, successRate: 1 }), agent('b', { successRate: 0.1 })],
      chosen: 'b',
    },
    {
      name: 'the more successful',
      candidates: [agent('a', { successRate: 0.4 }), agent('b', { successRate: 0.6 })],
      chosen: 'b',
    },
    { name: 'the less loaded', candidates: [agent('a', { inFlight: 1 }), agent('b')], chosen: 'b' },
    {
      name: 'the proven one until it is busy',
      candidates: [agent('a', { inFlight: 1, successRate: 0.9 }), agent('b')],
      chosen: 'a',
    },
    {
      name: 'by share of capacity',
      candidates: [agent('a', { inFlight: 1 }), agent('b', { inFlight: 2, capacity: 10 })],
      chosen: 'b',
    },
    {
      name: 'whose turn is longest ago among equals',
      candidates: [
        agent('a', { lastAssigned: 5 }),
        agent('b', { lastAssigned: 3 }),
        agent('c', { lastAssigned: 4 }),
      ],
      chosen: 'b',
    },
    {
      name: 'someone even where nobody ever succeeded',
      candidates: [agent('a', { successRate: 0 })],
      chosen: 'a',
    },
  ];
  it.each(cases)('takes $name', ({ candidates, chosen }) => {
    expect(chooseAgent(candidates)?.agent ?? null).toBe(chosen);
  });

  it('says what was weighed', () => {
    const busy = agent('a', { inFlight: 1, successRate: 0.9 });
    expect(chooseAgent([busy, agent('b')])).toEqual({
      agent: 'a',
      score: scoreOf(busy),
      successRate: 0.9,
      load: 0.5,
      candidates: 2,
    });
    expect(scoreOf(busy)).toBeCloseTo(0.6);
  });
});

describe('the success rate', () => {
  it('moves towards what happened lately and stays between 0 and 1', () => {
    let rate = NEUTRAL_SUCCESS_RATE;
    expect(nextSuccessRate(rate, true)).toBeCloseTo(0.6);
    expect(nextSuccessRate(rate, false)).toBeCloseTo(0.4);
    for (let n = 0; n < 100; n += 1) rate = nextSuccessRate(rate, true);
    expect(rate).toBeGreaterThan(0.99);
    expect(rate).toBeLessThanOrEqual(1);
    for (let n = 0; n < 10; n += 1) rate = nextSuccessRate(rate, false);
    expect(rate).toBeLessThan(0.15);
  });
});
