import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../transport/attempt.suite.js';
import { type Bench, makeBench, runCommand } from './command.suite.js';
import { readArtifactFile } from './command-artifacts.js';
import { StdoutReader } from './command-protocol.js';
import { DEFAULT_LIMITS } from './limits.js';
import { checkResult, ProtocolError } from './outcome.js';

const LIMITS = { ...DEFAULT_LIMITS, maxArtifacts: 3, maxOutputBytes: 200 };

/** Only the one kind of refusal; its words are short and on one line, whatever the agent said. */
function expectRefusal(error: unknown): void {
  if (!(error instanceof ProtocolError)) throw error;
  expect(error.message.length).toBeLessThan(1_000);
  expect(error.message).not.toMatch(/\p{Cc}/u);
}

const name = fc.oneof(
  fc.constantFrom('a', 'b', '__proto__', '', '..', 'a/b', 'x'.repeat(200)),
  fc.string({ maxLength: 5 }),
);
const content = fc.oneof(fc.string({ maxLength: 20 }), fc.jsonValue({ maxDepth: 3 }));
const artifact = fc.oneof(
  fc.record({ name, kind: name, content }, { requiredKeys: [] }),
  fc.record({ name, kind: name, path: fc.oneof(fc.string(), fc.jsonValue()) }),
  fc.record(
    { name, kind: name, content, path: fc.constant('x'), more: fc.constant(1) },
    { requiredKeys: ['name'] },
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const result = fc.oneof(
  fc.record(
    { artifacts: fc.array(artifact, { maxLength: 5 }), output: fc.jsonValue() },
    { requiredKeys: [] },
  ),
  fc.record(
    { artifacts: fc.jsonValue(), output: fc.jsonValue(), more: fc.jsonValue() },
    { requiredKeys: [] },
  ),
  fc.jsonValue(),
);

/** Results, halves of results, words, halves of words, and what is nothing of it. */
const fragment: fc.Arbitrary<Uint8Array> = fc.oneof(
  result.map((value) => Buffer.from(JSON.stringify(value))),
  result.map((value) => Buffer.from(JSON.stringify(value, null, 2))),
  fc.tuple(result, fc.nat()).map(([value, cut]) => {
    const bytes = Buffer.from(JSON.stringify(value));
    return bytes.subarray(0, cut % (bytes.length + 1));
  }),
  fc
    .record({
      progress: fc.oneof(fc.string(), fc.jsonValue()),
      fraction: fc.oneof(fc.double(), fc.jsonValue()),
    })
    .map((value) => Buffer.from(`${JSON.stringify(value)}\n`)),
  fc
    .record({
      step: fc.oneof(fc.record({ name, value: fc.jsonValue() }, { requiredKeys: [] }), fc.jsonValue()),
    })
    .map((value) => Buffer.from(`${JSON.stringify(value)}\n`)),
  fc.uint8Array({ maxLength: 20 }),
  fc
    .constantFrom('\n', '\r\n', '{', '}', '[', '"', '\\', '\u0000', '{"step":', '{"artifacts":[')
    .map((text) => Buffer.from(text)),
  // a character cut in two, and one that is none
  fc.constantFrom(Buffer.from([0xe2, 0x98]), Buffer.from([0xff]), Buffer.from([0xed, 0xa0, 0x80])),
);
const output = fc.array(fragment, { maxLength: 8 }).map((parts) => Buffer.concat(parts));

describe('any output of a command', () => {
  it('means the same in whatever pieces it comes', () => {
    const read = (chunks: readonly Uint8Array[]) => {
      const reader = new StdoutReader(2_000);
      try {
        const words = chunks.flatMap((chunk) => reader.push(chunk));
        const end = reader.end();
        return { ...end, words: [...words, ...end.words] };
      } catch (error) {
        expectRefusal(error);
        return error instanceof ProtocolError ? error.message : undefined;
      }
    };
    fc.assert(
      fc.property(output, fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        const count = Math.ceil(bytes.length / size);
        const pieces = Array.from({ length: count }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );
        expect(read(pieces)).toEqual(read([bytes]));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is a result within the limits, or refused in words', () => {
    fc.assert(
      fc.property(result, (value) => {
        try {
          const checked = checkResult(value, ['content', 'path'], LIMITS);
          expect(checked.artifacts.length).toBeLessThanOrEqual(LIMITS.maxArtifacts);
          expect(new Set(checked.artifacts.map((one) => one.name)).size).toBe(checked.artifacts.length);
          expect(JSON.stringify(checked.output).length).toBeLessThanOrEqual(LIMITS.maxOutputBytes);
        } catch (error) {
          expectRefusal(error);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  describe('of a real process', () => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await makeBench();
    });
    afterAll(async () => {
      await rm(bench.cwd, { recursive: true, force: true });
      await rm(bench.workRoot, { recursive: true, force: true });
    });

    it('ends the attempt once, done or failed by the protocol, and leaves nothing behind', async () => {
      await fc.assert(
        fc.asyncProperty(output, async (bytes) => {
          await writeFile(join(bench.cwd, 'said'), bytes);
          const outcome = await runCommand(bench, ['/bin/cat', 'said'], { options: { limits: LIMITS } });
          if (outcome.status === 'completed') return;
          const { code, message, isRetryable } = failureOf(outcome);
          expect({ code, isRetryable }).toEqual({ code: 'agent_protocol', isRetryable: false });
          expect(message).toMatch(/^agent `robot` /);
        }),
        { numRuns: 25 },
      );
    }, 60_000);
  });
});

describe('any path of an artifact', () => {
  let base: string;
  beforeAll(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'vapora-paths-')));
    for (const directory of ['work', 'work/in', 'cwd', 'cwd/in', 'out', 'work2'])
      await mkdir(join(base, directory));
    for (const place of ['work/a', 'work/in/a', 'cwd/b', 'cwd/in/b'])
      await writeFile(join(base, place), 'inside');
    for (const place of ['secret', 'out/a', 'work2/a']) await writeFile(join(base, place), 'outside');
    const links = {
      'work/up': '..',
      'work/out': '../out',
      'work/in/home': '../..',
      'work/secret': '../secret',
      'cwd/over': '../work',
      'cwd/loop': 'loop',
      'cwd/root': '/',
      'cwd/fd': '/proc/self/fd',
      'out/back': '../work/a',
    };
    for (const [from, to] of Object.entries(links)) await symlink(to, join(base, from));
  });
  afterAll(() => rm(base, { recursive: true, force: true }));

  const part = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('..', '.', '', 'a', 'b', 'in', 'up', 'out', 'home', 'secret') },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'over',
        'loop',
        'root',
        'back',
        'work',
        'work2',
        'cwd',
        'fd',
        '0',
        'proc',
        'self',
      ),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 5 }) },
  );
  const path = fc
    .tuple(fc.constantFrom('', '/', 'work/', 'base/', 'file://'), fc.array(part, { maxLength: 6 }))
    .map(([start, parts]) => `${start}${parts.join('/')}`);

  it('leads to a file inside, or nowhere', async () => {
    const roots = [join(base, 'work'), join(base, 'cwd')];
    await fc.assert(
      fc.asyncProperty(path, fc.boolean(), async (given, isAbsolute) => {
        try {
          const bytes = await readArtifactFile(isAbsolute ? `${base}/${given}` : given, roots, 1_000);
          expect(Buffer.from(bytes).toString()).toBe('inside');
        } catch (error) {
          expectRefusal(error);
        }
      }),
      { numRuns: 1_500 },
    );
  });
});
