import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StdoutReader, type Word } from './command-protocol.js';
import { ProtocolError } from './outcome.js';

const MAX_BYTES = 10_000;

function read(chunks: readonly (string | Uint8Array)[], maxBytes = MAX_BYTES) {
  const reader = new StdoutReader(maxBytes);
  const words: Word[] = chunks.flatMap((chunk) => reader.push(Buffer.from(chunk)));
  const end = reader.end();
  return { words: [...words, ...end.words], result: end.result, noise: end.noise };
}

/** Cuts bytes at the given places, wherever characters begin. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const progressLine = fc.record({
  progress: fc.string({ maxLength: 50 }),
  fraction: fc.double({ min: 0, max: 1 }),
});
const stepLine = fc.record({
  step: fc.record({ name: fc.string({ minLength: 1, maxLength: 50 }), value: fc.jsonValue() }),
});

describe('what a command says', () => {
  it('is the same however it is cut into chunks, with the result on one line or many', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(progressLine, stepLine), { maxLength: 10 }),
        fc.record({ output: fc.jsonValue() }),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 10 }),
        (said, result, isPretty, places) => {
          const lines = [
            ...said.map((line) => JSON.stringify(line)),
            JSON.stringify(result, null, isPretty ? 2 : 0),
          ];
          const heard = read(cut(Buffer.from(lines.join('\n')), places), 1_000_000);
          expect(heard.result).toEqual(JSON.parse(JSON.stringify(result)));
          expect(heard.noise).toBe('');
          expect(heard.words.map((word) => word.type)).toEqual(
            said.map((line) => ('step' in line ? 'step' : 'progress')),
          );
          const steps = heard.words.flatMap((word) => (word.type === 'step' ? [{ step: word.step }] : []));
          const expected = said.filter((line) => 'step' in line);
          expect(steps).toEqual(JSON.parse(JSON.stringify(expected)));
        },
      ),
    );
  });

  it('is understood or refused, whatever it is, and never anything else', () => {
    const fragment = fc.oneof(
      fc.uint8Array({ maxLength: 30 }),
      fc.constantFrom(
        '{',
        '}',
        '\n',
        '{"progress":',
        '{"step":',
        '"name":',
        '"value":',
        '"artifacts":[',
        '{}',
        'null',
        ' ',
      ),
      fc.json(),
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 20 }), (chunks) => {
        try {
          const { result } = read(chunks);
          expect(result === undefined || (typeof result === 'object' && result !== null)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('may be nothing', () => {
    expect(read([])).toEqual({ words: [], result: undefined, noise: '' });
    expect(read(['\n', ' \n\t'])).toMatchObject({ result: undefined });
  });

  it('has its result in the last object, with text around it kept as noise', () => {
    expect(read(['hello\n{"output":1}\n'])).toMatchObject({ result: { output: 1 }, noise: 'hello\n' });
    expect(read(['{"output":1}\n{"output":2}\nbye'])).toMatchObject({
      result: { output: 2 },
      noise: '{"output":1}\nbye',
    });
    expect(read(['hello\n{\n "output": {\n"a": 1\n}\n}\n'])).toMatchObject({ result: { output: { a: 1 } } });
    expect(read(['{"output":1}\r\n'])).toMatchObject({ result: { output: 1 } });
  });

  it('is not taken from an older result where the last one is only half there', () => {
    expect(() => read(['{"output":1}\n{"output":'])).toThrow(ProtocolError);
  });

  it.each([
    ['{"output":{"a":1,"a":2}}', 'wrote a result that has the key `a` twice'],
    ['noise\n{"output":9007199254740993}\n', 'wrote a result that has the number `9007199254740993`'],
    ['{"step":{"name":"s","value":1764064012345678901}}\n', 'wrote a step line that has the number'],
  ])('is refused where it would not be kept as it is: %s', (text, message) => {
    expect(() => read([text])).toThrow(ProtocolError);
    expect(() => read([text])).toThrow(message);
  });

  it('counts a result with a key like that of a word as a result', () => {
    const text = '{"output":1,"step":2}';
    expect(read([text])).toMatchObject({ words: [], result: { output: 1, step: 2 } });
  });

  it('is bounded, in one line or in many, but words do not count', () => {
    expect(() => read(['x'.repeat(MAX_BYTES + 1)])).toThrow('more than the 10000 bytes');
    expect(() => read(Array.from({ length: MAX_BYTES }, () => 'x\n'))).toThrow('more than the 10000 bytes');
    const { words } = read(Array.from({ length: 1_000 }, () => '{"progress":"still there"}\n'));
    expect(words).toHaveLength(1_000);
    // nor do they while they are only half there
    const full = 'x'.repeat(MAX_BYTES - 20);
    const { words: late } = read([`{"output":"${full}"}\n{"progr`, 'ess":"still there"}\n'], MAX_BYTES);
    expect(late).toHaveLength(1);
    expect(() => read([`{"progress":"${'x'.repeat(MAX_BYTES)}"}\n`])).toThrow('more than the 10000 bytes');
  });

  it.each(['{"progress":1}', '{"step":"a"}', '{"step":{"name":"a"}}', '{"step":{"name":"","value":1}}'])(
    'is refused at once where a word has the wrong shape: %s',
    (line) => {
      const reader = new StdoutReader(MAX_BYTES);
      expect(() => reader.push(Buffer.from(`${line}\n`))).toThrow(ProtocolError);
    },
  );

  it('ignores a fraction that is none', () => {
    expect(read(['{"progress":"x","fraction":"half"}']).words).toEqual([
      { type: 'progress', progress: { message: 'x', fraction: null } },
    ]);
  });
});
