import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findAmbiguity } from './exact-json.js';

/** What is wrong with the text, as its message, or null. */
const found = (text: string) => {
  JSON.parse(text);
  return findAmbiguity(text)?.message ?? null;
};

describe('JSON that means one thing', () => {
  it('is all that JSON.stringify makes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        expect(found(JSON.stringify(value, null, indent))).toBeNull();
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    '0',
    '-0',
    '-0.0',
    '0e9',
    '1e2',
    '1E+2',
    '1.50',
    '9007199254740992',
    '-9007199254740992',
    '1e21',
    '100000000000000000000',
  ])('has numbers that are kept: %s', (text) => {
    expect(found(text)).toBeNull();
    expect(found(`{"a": [${text} , ${text}]}`)).toBeNull();
  });

  it.each([
    ['as a language writes that gives 17 digits', '0.10000000000000001'],
    ['as one that gives all digits', '0.1000000000000000055511151231257827021181583404541015625'],
    ['halfway between two decimals', '5.684341886080802e-14'],
    ['the smallest', '5e-324'],
    ['the largest', '1.7976931348623157e308'],
  ])('has fractions that are the same double, %s', (_, text) => {
    expect(found(text)).toBeNull();
  });

  it.each([
    '9007199254740993',
    '-9007199254740993',
    '9007199254740993.0',
    '9007199254740993e0',
    // has a double of its own, which is written out again as another number
    '1152921504606846976',
    '12345678901234567890',
    '0.12345678901234567890123',
    '1e400',
    '-1e400',
    '1e-400',
    `0.1${'0'.repeat(200)}1`,
  ])('has no number that would become another one: %s', (text) => {
    expect(found(text)).toMatch(/^has the number `.*`, which can't be kept exactly$/);
    expect(found(`[1, {"a": ${text}}]`)).toMatch(/^has the number /);
    expect(found(`["${text}"]`)).toBeNull();
  });

  it.each([
    ['{"a":1,"a":1}', 'a', 7],
    ['{"a":{"b":[{}],"c":"x"},\n"a":2}', 'a', 25],
    ['{"\\u0061":1,"a":2}', 'a', 12],
    ['{"a\\"":1,"b":2,"a\\"":3}', 'a"', 15],
    ['[{"__proto__":1,"__proto__":2}]', '__proto__', 16],
    ['{"":1,"":2}', '', 6],
    ['{"a":"a","b":["a",{"c":1}],"b":1}', 'b', 27],
  ])('has no key twice in one object: %s', (text, key, offset) => {
    expect(found(text)).toBe(`has the key \`${key}\` twice in one object`);
    expect(findAmbiguity(text)?.offset).toBe(offset);
  });

  it.each([
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a"}',
    '{"a":["a","a"]}',
    '{"a\\\\":1,"a":2}',
  ])('may have a key again elsewhere: %s', (text) => expect(found(text)).toBeNull());

  it('has whole numbers only that come out with the digits they came in with', () => {
    const digits = fc.stringMatching(/^[1-9][0-9]{0,19}$/);
    fc.assert(
      fc.property(digits, (text) => {
        expect(found(text) === null).toBe(JSON.stringify(JSON.parse(text)) === text);
      }),
      { numRuns: 1_000 },
    );
  });
});
