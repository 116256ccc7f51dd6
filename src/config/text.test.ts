import { describe, expect, it } from 'vitest';
import { formatPath, nearest, shown } from './text.js';

describe('shown', () => {
  it('escapes what could rearrange a terminal', () => {
    expect(shown('a\u001b[2Jb\n\u202Ec\uD800')).toBe('a\\u{001b}[2Jb\\u{000a}\\u{202e}c\\u{d800}');
  });

  it('cuts after 80 characters, never inside one', () => {
    expect(shown('😀'.repeat(80))).toBe('😀'.repeat(80));
    expect(shown('😀'.repeat(81))).toBe(`${'😀'.repeat(79)}…`);
  });
});

describe('formatPath', () => {
  it('quotes keys that are not bare', () => {
    expect(formatPath(['workflows', 0, 'stages', 1, 'agents'])).toBe('workflows[0].stages[1].agents');
    expect(formatPath(['a.b', 'c'])).toBe('"a.b".c');
  });
});

describe('nearest', () => {
  it.each([
    ['devop', 'devops'],
    ['Devops', 'devops'],
    ['biuld', 'build'],
    ['xx', undefined],
    ['completely-else', undefined],
    ['x'.repeat(129), undefined],
  ])('of %s is %s', (text, expected) => {
    expect(nearest(text, ['devops', 'build', 'toString'])).toBe(expected);
  });
});
