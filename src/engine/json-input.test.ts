import { describe, expect, it } from 'vitest';
import { VaporaError } from '../core/errors.js';
import { parseJsonInput } from './json-input.js';

const LIMITS = { maxBytes: 1_000_000, maxDepth: 100 };

function refusal(text: string, limits = LIMITS): VaporaError {
  try {
    parseJsonInput(text, limits);
  } catch (error) {
    if (error instanceof VaporaError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('parseJsonInput', () => {
  it('answers the value of any JSON text', () => {
    for (const value of [null, 0, -1.5e3, 'a', [], {}, { a: [1, { b: '{[' }] }]) {
      expect(parseJsonInput(JSON.stringify(value), LIMITS)).toEqual(value);
    }
  });

  it('keeps `__proto__` a key like any other', () => {
    const value = parseJsonInput('{"__proto__": {"x": 1}}', LIMITS);
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it('counts bytes, not characters', () => {
    expect(refusal('"éé"', { maxBytes: 5, maxDepth: 10 }).code).toBe('input_too_large');
    expect(parseJsonInput('"éé"', { maxBytes: 6, maxDepth: 10 })).toBe('éé');
  });

  it('refuses depth before parsing, and ignores brackets in strings', () => {
    expect(parseJsonInput('['.repeat(100) + ']'.repeat(100), LIMITS)).toBeDefined();
    expect(refusal('['.repeat(101) + ']'.repeat(101)).message).toContain('(line 1, column 101)');
    expect(refusal('['.repeat(900_000)).code).toBe('input_invalid');
    const inString = `["${'[{'.repeat(200)}\\"${'['.repeat(200)}"]`;
    expect(parseJsonInput(inString, LIMITS)).toHaveLength(1);
  });

  it.each([
    ['', 'line 1, column 1'],
    ['{\n  hello', 'line 2, column 3'],
    ['{"a":1,}', 'line 1, column 8'],
    ['[1,\n2', 'line 2, column 2'],
    ['{"a": "x', 'line 1, column 9'],
    ['[1] x', 'line 1, column 5'],
    [`{"${'a'.repeat(40)}":1,\n"b": hello, "${'c'.repeat(40)}": 1}`, 'line 2, column 6'],
  ])('says where %j stops being JSON', (text, place) => {
    const error = refusal(text);
    expect(error.code).toBe('input_invalid');
    expect(error.message).toContain(`(${place})`);
  });

  it.each([
    ['{"a": 1,\n "a": 2}', 'the input has the key `a` twice in one object (line 2, column 2)'],
    [
      '[\n\n 9007199254740993]',
      "the input has the number `9007199254740993`, which can't be kept exactly (line 3, column 2)",
    ],
  ])('refuses %j, which would not be kept as it is', (text, message) => {
    const error = refusal(text);
    expect(error.code).toBe('input_invalid');
    expect(error.message).toBe(message);
    expect(error.hint).toBeDefined();
  });

  it('says no place rather than a wrong one', () => {
    expect(refusal(`[[1], t], "${'c'.repeat(60)}"`).message).not.toContain('line');
  });
});
