import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeHost } from './host.suite.js';
import { parseCount, parseLabels, parseMoment, parseState, readInput, requireText } from './input.js';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'vapora-input-'));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

describe('readInput', () => {
  const read = (argument: string, stdin = '', max = 1_000) =>
    readInput(argument, fakeHost({ cwd, stdin }), max);

  it('takes what looks like JSON as JSON', async () => {
    expect(await read(' {"a": 1}')).toEqual({ a: 1 });
    expect(await read('[1]')).toEqual([1]);
    expect(await read('"x"')).toBe('x');
    expect(await read('-1.5')).toBe(-1.5);
    expect(await read('null')).toBe(null);
  });

  it('reads stdin for `-`, and stops reading where it is too much', async () => {
    expect(await read('-', '{"from": "stdin"}')).toEqual({ from: 'stdin' });
    await expect(read('-', 'x'.repeat(2_000))).rejects.toMatchObject({ code: 'input_too_large' });
  });

  it('takes everything else as a file', async () => {
    await writeFile(join(cwd, 'in.json'), '{"from": "file"}');
    expect(await read('in.json')).toEqual({ from: 'file' });
    await writeFile(join(cwd, 'large.json'), `"${'x'.repeat(2_000)}"`);
    await expect(read('large.json')).rejects.toMatchObject({ code: 'input_too_large' });
    await writeFile(join(cwd, 'latin1.json'), Buffer.from([0x22, 0xe9, 0x22]));
    await expect(read('latin1.json')).rejects.toThrow('not UTF-8');
    await expect(read('none.json')).rejects.toThrow('input file `none.json` is not there');
    await expect(read('.')).rejects.toThrow('is not a file');
    await expect(read('a\0b')).rejects.toMatchObject({ code: 'input_invalid' });
  });
});

describe('options', () => {
  it('are taken apart', () => {
    expect(parseLabels(['a=1', 'b=x=y', 'c='])).toEqual({ a: '1', b: 'x=y', c: '' });
    expect(Object.keys(parseLabels(['__proto__=x']))).toEqual(['__proto__']);
    expect(parseCount('12', '`--limit`', 1, 1_000)).toBe(12);
    expect(parseMoment('2026-03-01', '`--since`')).toBe(Date.UTC(2026, 2, 1));
    expect(parseMoment('2026-03-01T08:30+01:00', '`--since`')).toBe(Date.UTC(2026, 2, 1, 7, 30));
    expect(parseState('blocked')).toBe('blocked');
    expect(requireText('x', '`--reason`')).toBe('x');
  });

  it.each([
    () => parseLabels(['a']),
    () => parseLabels(['=a']),
    () => parseLabels(['a=1', 'a=2']),
    () => parseCount('1e3', '`--limit`', 1, 1_000),
    () => parseCount('1001', '`--limit`', 1, 1_000),
    () => parseMoment('yesterday', '`--since`'),
    () => parseMoment('2026-02-30T25:00Z', '`--since`'),
    () => parseMoment('2026-03-01T08:30', '`--since`'),
    () => parseState('constructor'),
    () => requireText(' ', '`--reason`'),
  ])('are refused as usage errors %#', (parse) => {
    expect(parse).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
