import { describe, expect, it } from 'vitest';
import { byteSize, clean, count, cutTo, duration, moment, padTo, width } from './text.js';

describe('clean', () => {
  it('escapes whatever could drive a terminal', () => {
    expect(clean('a\u001b[31mb\u0007\u009b\u202e\u2028')).toBe(
      'a\\u{001b}[31mb\\u{0007}\\u{009b}\\u{202e}\\u{2028}',
    );
    expect(clean('one\ntwo\tthree\r')).toBe('one\\ntwo\\tthree\\r');
    expect(clean('\ud800')).toBe('\\u{d800}');
  });

  it('leaves text of any language alone', () => {
    expect(clean('größe 部署 🚀')).toBe('größe 部署 🚀');
  });

  it('cuts what is too long without splitting a character', () => {
    expect(clean('🚀'.repeat(5), 3)).toBe('🚀🚀…');
    expect(clean('abc', 3)).toBe('abc');
    expect(clean('x'.repeat(1_000_000)).length).toBeLessThanOrEqual(2_000);
  });
});

describe('duration', () => {
  it.each([
    [0, '0ms'],
    [-5, '0ms'],
    [999, '999ms'],
    [1_000, '1.0s'],
    [59_949, '59.9s'],
    [59_960, '1m 00s'],
    [3_599_000, '59m 59s'],
    [3_600_000, '1h 00m'],
    [90_061_000, '1d 01h'],
  ])('of %d ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});

it('sizes, counts and moments read naturally', () => {
  expect(byteSize(0)).toBe('0 B');
  expect(byteSize(1_536)).toBe('1.5 KiB');
  expect(count(1, 'stage')).toBe('1 stage');
  expect(count(0, 'stage')).toBe('0 stages');
  expect(moment(0)).toBe('1970-01-01 00:00:00Z');
});

it('columns are counted as a terminal does', () => {
  expect(width('部署')).toBe(4);
  expect(width('e\u0301')).toBe(1);
  expect(padTo('部', 4)).toBe('部  ');
  expect(cutTo('部署部署', 5)).toBe('部署…');
  expect(cutTo('abc', 3)).toBe('abc');
  expect(cutTo('abcd', 0)).toBe('');
});
