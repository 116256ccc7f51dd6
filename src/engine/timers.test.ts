import { describe, expect, it } from 'vitest';
import { TestClock } from '../testing/test-clock.js';
import { systemClock } from './clock.js';
import { TimerQueue } from './timers.js';

function queueOf(clock = new TestClock()) {
  const due: string[] = [];
  const timers = new TimerQueue(clock, (id) => due.push(id));
  return { clock, due, timers, start: clock.now() };
}

describe('TimerQueue', () => {
  it('rings each at its time, in order, with one timer of the clock', async () => {
    const { clock, due, timers, start } = queueOf();
    for (const [id, after] of Object.entries({ c: 300, a: 100, b: 200 })) timers.set(id, start + after);
    expect(clock.pending).toBe(1);
    await clock.advance(99);
    expect(due).toEqual([]);
    await clock.advance(1);
    expect(due).toEqual(['a']);
    await clock.advance(1_000);
    expect(due).toEqual(['a', 'b', 'c']);
    expect([clock.pending, timers.size]).toEqual([0, 0]);
  });

  it('rings all of many equal times, each once', async () => {
    const { clock, due, timers, start } = queueOf();
    for (let id = 0; id < 5_000; id += 1) timers.set(`${id}`, start + 50);
    await clock.advance(50);
    expect(new Set(due).size).toBe(5_000);
    expect(due).toHaveLength(5_000);
  });

  it('counts only the newest time of an id', async () => {
    const { clock, due, timers, start } = queueOf();
    timers.set('later', start + 100);
    timers.set('later', start + 500);
    timers.set('sooner', start + 500);
    timers.set('sooner', start + 200);
    timers.set('never', start + 100);
    timers.set('never', null);
    timers.set('again', start + 300);
    timers.set('again', null);
    timers.set('again', start + 300);
    await clock.advance(1_000);
    expect(due).toEqual(['sooner', 'again', 'later']);
  });

  it('does not keep superseded times for long', () => {
    const { timers, start } = queueOf();
    for (let id = 0; id < 100_000; id += 1) {
      timers.set(`${id}`, start + 3_600_000);
      timers.set(`${id}`, null);
    }
    expect(timers.size).toBeLessThan(2_100);
  });

  it('rings at once what was due before', async () => {
    const { clock, due, timers, start } = queueOf();
    timers.set('a', start - 1_000);
    await clock.advance(1);
    expect(due).toEqual(['a']);
  });

  it('takes times that are further away than a timer of the machine can be', async () => {
    const { clock, due, timers, start } = queueOf();
    const far = 3 * 2 ** 31;
    timers.set('a', start + far);
    await clock.advance(far - 1);
    expect(due).toEqual([]);
    await clock.advance(1);
    expect(due).toEqual(['a']);

    const real = queueOf(Object.assign(new TestClock(), { after: systemClock().after }));
    real.timers.set('a', real.start + far);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(real.due).toEqual([]);
    real.timers.close();
  });

  it('keeps nothing after it was closed', async () => {
    const { clock, due, timers, start } = queueOf();
    timers.set('a', start + 10);
    timers.close();
    timers.set('b', start + 10);
    expect(clock.pending).toBe(0);
    await clock.advance(100);
    expect(due).toEqual([]);
  });
});
