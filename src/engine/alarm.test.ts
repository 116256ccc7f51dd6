import { describe, expect, it } from 'vitest';
import { TestClock } from '../testing/test-clock.js';
import { Alarm } from './alarm.js';
import { gate, Hand, Rig, workflow } from './orchestrator.suite.js';

const HOUR = 3_600_000;

function alarmOf(sleeping: number[] = []) {
  const clock = new TestClock();
  const rung: number[] = [];
  const failures: unknown[] = [];
  const start = clock.now();
  let meet: () => Promise<void> = async () => undefined;
  const alarm = new Alarm({
    clock,
    wakeDue: async (until) => {
      rung.push(until - start);
      await meet();
    },
    nextWakeAt: async (after) => sleeping.map((at) => start + at).find((at) => at > after) ?? null,
    fail: (error) => failures.push(error),
  });
  const hold = (held: () => Promise<void>) => {
    meet = held;
  };
  return { clock, alarm, rung, failures, start, hold };
}

describe('Alarm', () => {
  it('rings for each time that the store knows, with one timer of the clock', async () => {
    const { clock, alarm, rung, start } = alarmOf([100, 200, 5_000]);
    expect(alarm.isOn).toBe(false);
    await alarm.turnOn(start);
    expect([alarm.isOn, clock.pending]).toEqual([true, 1]);
    await clock.advance(99);
    expect(rung).toEqual([]);
    await clock.advance(4_000);
    expect(rung).toEqual([100, 200]);
    await clock.advance(4_000);
    expect([rung, clock.pending]).toEqual([[100, 200, 5_000], 0]);
  });

  it('rings sooner for what goes to sleep for less long, and at once for what is late', async () => {
    const { clock, alarm, rung, start } = alarmOf([9_000]);
    await alarm.turnOn(start);
    alarm.note(start + 300);
    alarm.note(start + 400);
    await clock.advance(350);
    expect(rung).toEqual([300]);
    alarm.note(start);
    await clock.advance(10);
    expect(rung).toEqual([300, 351]);
  });

  it('looks again where something comes due while it rings', async () => {
    const { clock, alarm, rung, start, hold } = alarmOf([100]);
    const held = gate();
    hold(() => held.opened);
    await alarm.turnOn(start);
    await clock.advance(100);
    alarm.note(start + 150);
    await clock.advance(100);
    expect(rung).toEqual([100]);
    held.open();
    await clock.advance(0);
    expect(rung).toEqual([100, 200]);
  });

  it('reports what goes wrong, and is silent once it is closed', async () => {
    const { clock, alarm, rung, failures, start, hold } = alarmOf([100]);
    hold(() => Promise.reject(new Error('no store')));
    await alarm.turnOn(start);
    await clock.advance(100);
    expect(failures).toHaveLength(1);
    alarm.note(start + 300);
    alarm.close();
    alarm.note(start + 300);
    await clock.advance(1_000);
    expect([rung, clock.pending]).toEqual([[100], 0]);
  });
});

describe('instances that wait, after a recovery', () => {
  const gated = workflow('gated', [
    { name: 'a', agents: ['do'], approval_required: true, approval_timeout: 2 * 3_600 },
  ]);

  it('are not woken, keep no timer each, and are woken by their deadlines', async () => {
    const rig = new Rig({ workflows: [gated], agents: [new Hand('do')] });
    for (let number = 0; number < 20; number += 1) {
      await rig.start('gated', `i${number}`);
      await rig.clock.advance(1_000);
    }
    const next = rig.crash();
    const others = next.clock.pending;
    expect(await next.api.recover()).toBe(0);
    expect([next.api.awake, next.clock.pending]).toEqual([0, others + 1]);
    await next.start('gated', 'late');
    await next.clock.advance(0);
    expect((await next.api.untilRest('i0')).status).toBe('waiting_approval');
    expect(next.api.awake).toBe(0);
    await next.clock.advance(2 * HOUR - 15_000);
    const failed = async () => (await next.api.list({ status: 'failed', limit: 100 })).items.length;
    expect(await failed()).toBe(6);
    await next.clock.advance(13_000);
    expect(await failed()).toBe(19);
    await next.clock.advance(10_000);
    expect(await failed()).toBe(21);
    expect((await next.api.get('late')).error?.code).toBe('approval_timeout');
    await next.expectQuiet();
  });

  it('whose deadline has passed meanwhile are woken by the recovery', async () => {
    const rig = new Rig({ workflows: [gated], agents: [new Hand('do')] });
    await rig.start('gated', 'x');
    await rig.clock.advance(0);
    const next = rig.crash();
    await next.clock.advance(3 * HOUR);
    expect(await next.api.recover()).toBe(1);
    await next.clock.advance(0);
    expect((await next.api.get('x')).status).toBe('failed');
    await next.expectQuiet();
  });

  it('go on where the agent that they missed is there now', async () => {
    const rig = new Rig({ workflows: [workflow('w', ['a'])] });
    await rig.start('w', 'x');
    await rig.clock.advance(0);
    expect((await rig.api.get('x')).status).toBe('blocked');
    const still = rig.crash();
    expect(await still.api.recover()).toBe(0);
    const next = still.crash({ agents: [new Hand('do')] });
    expect(await next.api.recover()).toBe(1);
    expect((await next.api.untilRest('x')).status).toBe('completed');
    await next.expectQuiet();
  });
});
