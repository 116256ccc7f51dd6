import { describe, expect, it } from 'vitest';
import { FairQueue, type Want } from './queue.js';

const want = (instance: string, number: number): Want => ({
  key: `${instance}/s/r/execute#${number}`,
  instance,
  role: 'r',
});

function drain(queue: FairQueue): string[] {
  const keys: string[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) keys.push(next.key);
  return keys;
}

describe('FairQueue', () => {
  it('gives each instance its turn, and each its wants in order', () => {
    const queue = new FairQueue();
    for (const number of [1, 2, 3]) queue.push(want('a', number));
    for (const number of [1, 2]) queue.push(want('b', number));
    queue.push(want('c', 1));
    expect(queue.size).toBe(6);
    expect(drain(queue).map((key) => key[0])).toEqual(['a', 'b', 'c', 'a', 'b', 'a']);
    expect(queue.size).toBe(0);
  });

  it('lets a newcomer wait for one want of each other instance, however many those have', () => {
    const queue = new FairQueue();
    for (let number = 0; number < 1_000; number += 1) queue.push(want('greedy', number));
    queue.push(want('modest', 1));
    expect([queue.shift()?.instance, queue.shift()?.instance]).toEqual(['greedy', 'modest']);
  });

  it('takes a want back from anywhere in the line, once', () => {
    const queue = new FairQueue();
    const wants = [1, 2, 3].map((number) => want('a', number));
    for (const item of wants) queue.push(item);
    const [first, second] = wants;
    expect(second && queue.remove(second)).toBe(true);
    expect(second && queue.remove(second)).toBe(false);
    expect(first && queue.remove(first)).toBe(true);
    expect(queue.remove(want('b', 1))).toBe(false);
    expect(drain(queue)).toEqual(['a/s/r/execute#3']);
    expect(queue.size).toBe(0);
  });
});
