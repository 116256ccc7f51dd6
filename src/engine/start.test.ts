import { describe, expect, it } from 'vitest';
import type { StartRequest } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import { workflow } from './orchestrator.suite.js';
import { type CheckedStart, checkStart } from './start.js';

const templates = new Map([['ship', workflow('ship', ['a'])]]);
const REQUEST: StartRequest = { workflow: 'ship', initiator: { user: 'ann', groups: ['ops'] } };

function check(more: Partial<StartRequest>): CheckedStart {
  return checkStart({ ...REQUEST, ...more }, templates, { maxInputBytes: 100 });
}

function codeOf(more: Partial<StartRequest>): string {
  try {
    check(more);
  } catch (error) {
    if (error instanceof VaporaError) return error.code;
    throw error;
  }
  return 'accepted';
}

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}

const cyclic: unknown[] = [];
cyclic.push(cyclic);

const trap = {
  get x(): never {
    throw new Error('boo');
  },
};

describe('the check of a start', () => {
  it('refuses numbers that JSON would turn into null', () => {
    expect(codeOf({ input: { n: JSON.parse('[1e999]') } })).toBe('input_invalid');
    expect(codeOf({ input: -Infinity })).toBe('input_invalid');
  });

  it('answers the canonical input, so that equal inputs are equal bytes', () => {
    const one = check({ input: { b: [1, { d: null, c: 'é' }], a: true }, labels: { z: '1', a: '2' } });
    const two = check({ input: { a: true, b: [1, { c: 'é', d: null }] } });
    expect(Buffer.from(one.input).toString()).toBe('{"a":true,"b":[1,{"c":"é","d":null}]}');
    expect(two.inputDigest).toBe(one.inputDigest);
    expect(one.labels).toEqual([
      ['a', '2'],
      ['z', '1'],
    ]);
    expect(Buffer.from(check({}).input).toString()).toBe('{}');
    expect(Buffer.from(check({ input: null }).input).toString()).toBe('null');
  });

  it('keeps `__proto__` a key like any other', () => {
    expect(Buffer.from(check({ input: JSON.parse('{"__proto__":{"x":1}}') }).input).toString()).toBe(
      '{"__proto__":{"x":1}}',
    );
  });

  it.each([
    ['a cycle', cyclic],
    ['101 levels', nested(101)],
    ['10,000 levels', nested(10_000)],
    ['a bigint', 1n],
    ['a getter that throws', trap],
    ['half a surrogate pair', ['\ud800']],
    ['half a surrogate pair in a key', { '\udc00': 1 }],
  ])('refuses an input with %s', (_, input) => {
    expect(codeOf({ input })).toBe('input_invalid');
  });

  it('accepts 100 levels, and as many bytes as the limit says', () => {
    expect(codeOf({ input: nested(40) })).toBe('accepted');
    expect(() =>
      checkStart({ ...REQUEST, input: nested(100) }, templates, { maxInputBytes: 1_000 }),
    ).not.toThrow();
    expect(codeOf({ input: 'é'.repeat(49) })).toBe('accepted');
    expect(codeOf({ input: 'é'.repeat(50) })).toBe('input_too_large');
  });

  it.each(['', '.', '..', 'a/b', 'a b', 'a\0', "x'; DELETE a", 'x'.repeat(129), '\ud800'])(
    'refuses the id %j',
    (id) => {
      expect(codeOf({ id })).toBe('name_invalid');
    },
  );

  it.each(['__proto__', 'ä-1_2.3', 'x'.repeat(128)])('accepts the id %j', (id) => {
    expect(check({ id }).id).toBe(id);
  });

  it.each([
    ['an empty user', { user: '', groups: [] }, 'name_invalid'],
    ['a user of 257 characters', { user: 'x'.repeat(257), groups: [] }, 'name_invalid'],
    ['half a surrogate pair', { user: 'a\ud800', groups: [] }, 'name_invalid'],
    ['an empty group', { user: 'a', groups: ['b', ''] }, 'name_invalid'],
    ['257 groups', { user: 'a', groups: Array.from({ length: 257 }, (_, n) => `${n}`) }, 'limit_exceeded'],
    ['an address', { user: 'ann@example.org', groups: ['cn=ops,dc=org'] }, 'accepted'],
  ])('takes %s as an initiator for what it is', (_, initiator, code) => {
    expect(codeOf({ initiator })).toBe(code);
  });

  it.each([
    ['a key that is no name', { 'a b': 'x' }, 'name_invalid'],
    ['a value of 257 characters', { a: 'x'.repeat(257) }, 'input_invalid'],
    ['half a surrogate pair', { a: '\ud800' }, 'input_invalid'],
    ['65 of them', Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ''])), 'limit_exceeded'],
    ['an empty value', { a: '' }, 'accepted'],
  ])('takes labels with %s for what they are', (_, labels, code) => {
    expect(codeOf({ labels })).toBe(code);
  });

  it('says which workflow may have been meant, or which there are', () => {
    const hint = (name: string) => {
      try {
        check({ workflow: name });
      } catch (error) {
        return error instanceof VaporaError && error.code === 'workflow_unknown' ? error.hint : error;
      }
      return 'accepted';
    };
    expect(hint('shop')).toBe('did you mean `ship`?');
    expect(hint('__proto__')).toBe('the workflows are `ship`');
    expect(hint('x'.repeat(10_000))).toBe('the workflows are `ship`');
  });
});
