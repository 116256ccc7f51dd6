import { describe, expect, it } from 'vitest';
import { isName } from '../core/names.js';
import { chainedId, deliveryId, scheduledId } from './start-ids.js';

const AT = Date.parse('2026-11-25T02:00:05Z');

describe('the ids of what triggers start', () => {
  it('say what they are of', () => {
    expect(scheduledId('nightly', AT)).toBe('nightly.20261125T020005Z');
    expect(deliveryId('release', 'msg_1')).toMatch(/^release\.hook-[0-9a-f]{24}$/);
    expect(chainedId('deploy', 'build-1')).toMatch(/^deploy\.after-[0-9a-f]{24}$/);
  });

  it('are names and different, also where the workflow has the longest name there is', () => {
    const long = '名'.repeat(127);
    const ids = ['a', 'b'].flatMap((end) => [
      scheduledId(long + end, AT),
      scheduledId(long + end, AT + 1_000),
      deliveryId(long + end, '../ /\0 odd'),
      chainedId(long + end, 'x'),
    ]);
    expect(ids.filter((id) => !isName(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
