import { beforeEach, describe, expect, it } from 'vitest';
import type { AgentInfo } from '../core/ports.js';
import { TestClock } from '../testing/test-clock.js';
import { SwarmCoordinator, type SwarmOptions } from './coordinator.js';

const agent = (name: string, more: Partial<AgentInfo> = {}): AgentInfo => ({
  name,
  roles: ['r'],
  maxConcurrent: 1,
  leaseMs: null,
  ...more,
});

let clock: TestClock;
let told: string[];

beforeEach(() => {
  clock = new TestClock();
  told = [];
});

function swarmOf(agents: readonly AgentInfo[], more: Partial<SwarmOptions> = {}): SwarmCoordinator {
  const swarm = new SwarmCoordinator({
    clock,
    maxParallelTasks: null,
    graceMs: 0,
    onAssigned: (want, { agent: name }) => told.push(`${want.key}>${name}`),
    onUnserved: (want) => told.push(`${want.key}>nobody`),
    onExpired: (key) => told.push(`${key} expired`),
    ...more,
  });
  swarm.setAgents(agents);
  return swarm;
}

/** The agent that is chosen; `queued` or `unserved` where none is. */
function ask(swarm: SwarmCoordinator, key: string, role = 'r'): string {
  const answer = swarm.request({ key, instance: key.split('/')[0] ?? key, role });
  return answer.kind === 'assigned' ? answer.assignment.agent : answer.kind;
}

describe('the choice of an agent', () => {
  it('starts neutral and says what was weighed', () => {
    const swarm = swarmOf([agent('a', { maxConcurrent: 4 })]);
    ask(swarm, 'i/1');
    const answer = swarm.request({ key: 'i/2', instance: 'i', role: 'r' });
    expect(answer).toEqual({
      kind: 'assigned',
      assignment: { agent: 'a', score: 0.5 / 1.25, successRate: 0.5, load: 0.25, candidates: 1 },
    });
  });

  it('goes to the less loaded of equals, then to the one whose last task is longest ago', () => {
    const swarm = swarmOf([agent('a', { maxConcurrent: 2 }), agent('b', { maxConcurrent: 2 })]);
    expect(['i/1', 'i/2', 'i/3', 'i/4', 'i/5'].map((key) => ask(swarm, key))).toEqual([
      'a',
      'b',
      'a',
      'b',
      'queued',
    ]);
    for (let round = 0; round < 4; round += 1) swarm.release(`i/${round + 1}`, 'neutral');
    expect(told).toEqual(['i/5>a']);
  });

  it('shares tasks that come one at a time evenly', () => {
    const swarm = swarmOf(['a', 'b', 'c'].map((name) => agent(name)));
    const chosen = Array.from({ length: 9 }, (_, number) => {
      const name = ask(swarm, `i/${number}`);
      swarm.release(`i/${number}`, 'neutral');
      return name;
    });
    expect(chosen.join('')).toBe('abcabcabc');
  });

  it('prefers who succeeded lately, until it is busy', () => {
    const swarm = swarmOf([agent('bad', { maxConcurrent: 9 }), agent('good', { maxConcurrent: 2 })]);
    ask(swarm, 'x/1');
    ask(swarm, 'x/2');
    swarm.release('x/1', 'failure');
    swarm.release('x/2', 'success');
    expect(swarm.status().map(({ name, successRate }) => [name, successRate])).toEqual([
      ['bad', 0.4],
      ['good', 0.6],
    ]);
    // 0.6, then 0.6 / 1.5 = 0.4 is no better than 0.4, whose last task is longer ago
    expect(['i/1', 'i/2'].map((key) => ask(swarm, key))).toEqual(['good', 'bad']);
  });

  it('forgets old failures', () => {
    const swarm = swarmOf([agent('a')]);
    const rate = () => swarm.status()[0]?.successRate ?? 0;
    const end = (how: 'success' | 'failure', times: number) => {
      for (let time = 0; time < times; time += 1) {
        ask(swarm, 'i/1');
        swarm.release('i/1', how);
      }
    };
    end('failure', 20);
    expect(rate()).toBeLessThan(0.01);
    end('success', 10);
    expect(rate()).toBeGreaterThan(0.85);
  });
});

describe('capacity', () => {
  it('is held until it is released, and what waits then gets it', () => {
    const swarm = swarmOf([agent('a')]);
    expect(['i/1', 'i/2', 'i/3'].map((key) => ask(swarm, key))).toEqual(['a', 'queued', 'queued']);
    expect([swarm.inFlight, swarm.queued]).toEqual([1, 2]);
    swarm.release('i/1', 'success');
    swarm.release('i/1', 'success');
    expect(told).toEqual(['i/2>a']);
    expect([swarm.inFlight, swarm.queued]).toEqual([1, 1]);
    swarm.withdraw('i/3');
    swarm.withdraw('i/3');
    swarm.release('i/2', 'success');
    expect([swarm.inFlight, swarm.queued, told.length]).toEqual([0, 0, 1]);
    expect(swarm.status()[0]?.inFlight).toBe(0);
  });

  it('has an overall limit over all agents', () => {
    const swarm = swarmOf([agent('a', { maxConcurrent: 9 }), agent('b', { roles: ['q'] })], {
      maxParallelTasks: 2,
    });
    expect([ask(swarm, 'i/1'), ask(swarm, 'i/2'), ask(swarm, 'i/3', 'q')]).toEqual(['a', 'a', 'queued']);
    swarm.release('i/1', 'success');
    expect(told).toEqual(['i/3>b']);
  });

  it('is shared fairly by instances', () => {
    const swarm = swarmOf([agent('a')]);
    for (let number = 0; number <= 1_000; number += 1) ask(swarm, `greedy/${number}`);
    ask(swarm, 'modest/1');
    swarm.release('greedy/0', 'success');
    swarm.release('greedy/1', 'success');
    expect(told).toEqual(['greedy/1>a', 'modest/1>a']);
  });

  it.each([
    ['one agent', [agent('a', { roles: ['r', 'q'] })], null],
    ['the overall limit', [agent('a', { maxConcurrent: 9 }), agent('b', { roles: ['q'] })], 1],
  ])('is shared fairly by roles that share %s', (_, agents, maxParallelTasks) => {
    const swarm = swarmOf(agents, { maxParallelTasks });
    for (let number = 0; number < 10; number += 1) ask(swarm, `many/${number}`, 'r');
    ask(swarm, 'few/1', 'q');
    swarm.release('many/0', 'success');
    swarm.release('many/1', 'success');
    expect(told.map((line) => line.split('>')[0])).toEqual(['many/1', 'few/1']);
  });

  it('is asked for once by a task', () => {
    const swarm = swarmOf([agent('a')]);
    ask(swarm, 'i/1');
    expect(() => ask(swarm, 'i/1')).toThrow('asked for once');
  });
});

describe('agents that come and go', () => {
  it('are unserved where nobody has the role, and served once somebody has', () => {
    const swarm = swarmOf([agent('a')]);
    expect(ask(swarm, 'i/1', 'other')).toBe('unserved');
    swarm.setAgents([agent('a'), agent('b', { roles: ['other'] })]);
    expect(ask(swarm, 'i/1', 'other')).toBe('b');
  });

  it('serve at once what had waited', () => {
    const swarm = swarmOf([agent('a')]);
    ask(swarm, 'i/1');
    ask(swarm, 'i/2');
    swarm.setAgents([agent('a'), agent('b')]);
    expect(told).toEqual(['i/2>b']);
  });

  it('tell what had waited when the last one of the role goes', () => {
    const swarm = swarmOf([agent('a')]);
    for (const key of ['i/1', 'i/2', 'j/1']) ask(swarm, key);
    swarm.setAgents([]);
    expect(told).toEqual(['i/2>nobody', 'j/1>nobody']);
    expect([swarm.queued, swarm.inFlight]).toEqual([0, 1]);
    swarm.release('i/1', 'neutral');
    expect(swarm.inFlight).toBe(0);
  });

  it('are still busy when they come back with attempts under way', () => {
    const swarm = swarmOf([agent('a')]);
    ask(swarm, 'i/1');
    swarm.setAgents([]);
    swarm.setAgents([agent('a')]);
    expect(ask(swarm, 'i/2')).toBe('queued');
    swarm.release('i/1', 'success');
    expect(told).toEqual(['i/2>a']);
    expect(swarm.status()[0]).toMatchObject({ inFlight: 1, successRate: 0.6 });
  });

  it('keep their figures when their description changes', () => {
    const swarm = swarmOf([agent('a')]);
    ask(swarm, 'i/1');
    swarm.setAgents([agent('a', { maxConcurrent: 2, roles: ['r', 'q'] })]);
    expect(ask(swarm, 'i/2', 'q')).toBe('a');
    expect(swarm.status()[0]?.inFlight).toBe(2);
  });
});

describe('leases', () => {
  it('run out without a sign of life, and not before', async () => {
    const swarm = swarmOf([agent('a', { leaseMs: 1_000 })]);
    ask(swarm, 'i/1');
    await clock.advance(600);
    swarm.touch('i/1');
    await clock.advance(999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['i/1 expired']);
  });

  it('are told of again while they are held: the first time may have been too early for anybody to act on it', async () => {
    const swarm = swarmOf([agent('a', { leaseMs: 1_000 })]);
    ask(swarm, 'i/1');
    await clock.advance(2_000);
    expect(told).toEqual(['i/1 expired', 'i/1 expired']);
    swarm.release('i/1', 'neutral');
    await clock.advance(5_000);
    expect(told).toHaveLength(2);
  });

  it('are watched by the shortest, whatever came first', async () => {
    const swarm = swarmOf([
      agent('slow', { leaseMs: 3_600_000 }),
      agent('fast', { roles: ['q'], leaseMs: 1_000 }),
    ]);
    ask(swarm, 'i/1');
    ask(swarm, 'i/2', 'q');
    await clock.advance(1_000);
    expect(told).toEqual(['i/2 expired']);
    swarm.release('i/2', 'neutral');
    await clock.advance(3_600_000);
    expect(told).toEqual(['i/2 expired', 'i/1 expired']);
  });

  it('do not run out for an agent without one', async () => {
    const swarm = swarmOf([agent('a')]);
    ask(swarm, 'i/1');
    expect(clock.pending).toBe(0);
    swarm.touch('i/1');
    await clock.advance(1e9);
    expect(told).toEqual([]);
  });
});

describe('a closed coordinator', () => {
  it('serves nobody and leaves no timer behind', () => {
    const swarm = swarmOf([agent('a', { leaseMs: 1_000 })]);
    ask(swarm, 'i/1');
    ask(swarm, 'i/2');
    swarm.close();
    swarm.release('i/1', 'neutral');
    expect(told).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a role whose agents come and go', () => {
  it('counts as served for a while after its last agent has left, and after the start', async () => {
    const swarm = swarmOf([], { graceMs: 100 });
    expect(ask(swarm, 'i/1')).toBe('queued');
    swarm.setAgents([agent('a')]);
    swarm.release('i/1', 'success');
    swarm.setAgents([]);
    await clock.advance(60);
    expect(ask(swarm, 'i/2')).toBe('queued');
    await clock.advance(39);
    expect(told).toEqual(['i/1>a']);
    await clock.advance(2);
    expect(told).toEqual(['i/1>a', 'i/2>nobody']);
    expect(ask(swarm, 'i/3')).toBe('unserved');
  });

  it('has the capacity of an agent held that is still away', () => {
    const swarm = swarmOf([]);
    swarm.hold('i/1', 'a');
    swarm.setAgents([agent('a')]);
    expect(ask(swarm, 'i/2')).toBe('queued');
    swarm.release('i/1', 'success');
    expect(told).toEqual(['i/2>a']);
  });
});
