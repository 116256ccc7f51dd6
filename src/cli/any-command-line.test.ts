import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeHost } from './host.suite.js';
import { execute } from './main.js';

// agents that answer at once: one well, one always badly
const CONFIG = `
[engine]
store = "rocksdb://store"
cedar_policy_dir = "policies"
[engine.limits]
max_input_bytes = 2000
[[workflows]]
name = "release"
stages = [
  { name = "build", agents = ["ok"], compensation_agents = ["bad"], compensation_retry = { max_attempts = 1 } },
  { name = "deploy", agents = ["ok"], approval_required = true },
  { name = "announce", agents = ["bad"] },
]
[[workflows]]
name = "unserved"
stages = [{ name = "a", agents = ["nobody"] }]
[[agents]]
name = "well"
roles = ["ok"]
command = ["/bin/echo", '{"artifacts":[{"name":"note","kind":"code","content":"x"}]}']
[[agents]]
name = "badly"
roles = ["bad"]
command = ["/bin/false"]
`;
const POLICY = `@id("all") permit (principal, action, resource);
@id("not-eve") forbid (principal == User::"eve", action, resource);
`;
/** The contract of exit codes. What a bug exits with is none of them, and nobody interrupts. */
const EXITS = [0, 1, 2, 3, 4, 5];

/** Several processes, on a machine that may be busy. */
const SETUP_MS = 60_000;
let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'vapora-any-'));
  await mkdir(join(cwd, 'policies'));
  await writeFile(join(cwd, 'workflows.toml'), CONFIG);
  await writeFile(join(cwd, 'policies', 'all.cedar'), POLICY);
  await writeFile(join(cwd, 'in.json'), '{"version": "1"}');
  await vapora(['run', 'release', '--id', 'waits']);
  await vapora(['run', 'release', '--id', 'fails', '--approve', 'all']);
}, SETUP_MS);
afterAll(() => rm(cwd, { recursive: true, force: true }));

async function vapora(argv: readonly string[], stdin = '') {
  const host = fakeHost({ cwd, stdin, env: { PATH: process.env.PATH } });
  const exit = await execute(argv, host);
  return { exit, out: host.out.join(''), err: host.err.join('') };
}

interface Shape {
  readonly words: readonly string[];
  readonly arguments: number;
  /** With a value each, but for those of `FLAGS`. */
  readonly options: readonly string[];
}
const FLAGS = ['--all', '--no-compensate', '--preview'];
const person = ['--by', '--group'];
const shape = (words: string, args: number, options: readonly string[] = []): Shape => ({
  words: words === '' ? [] : words.split(' '),
  arguments: args,
  options,
});

// none that waits for what never comes, and none that shows a text for people
const SHAPES: readonly Shape[] = [
  shape('check', 0),
  shape('run', 1, ['--input', '--initiator', '--group', '--label', '--id', '--approve']),
  shape('run', 1, ['--input', '--id']),
  shape('resume', 1, ['--all', ...person]),
  shape('retry', 1, person),
  shape('cancel', 1, ['--no-compensate', ...person]),
  shape('approve', 2, ['--comment', ...person]),
  shape('reject', 2, ['--reason', '--by']),
  shape('rollback', 1, ['--to', '--preview', ...person]),
  shape('list', 0, ['--state', '--workflow', '--label', '--limit', '--cursor']),
  shape('show', 1),
  shape('history', 1),
  shape('artifacts', 2, ['--output']),
  shape('dead-letters', 0),
  shape('dead-letters retry', 1, person),
  shape('dead-letters resolve', 1, ['--reason', '--by']),
  shape('policy check', 0),
  shape('policy test', 0, ['--principal', '--action', '--resource', '--context', '--workflow']),
  shape('audit verify', 1, ['--all']),
  shape('audit export', 1),
  shape('backup', 1),
  shape('restore', 1),
  shape('purge', 0, ['--keep-days', '--archive']),
  shape('doctor', 0),
  shape('completion', 1),
  shape('init', 1),
  shape('rn', 1),
  shape('policy', 0),
  shape('', 0),
];
const WORDS = [
  'release',
  'unserved',
  'waits',
  'fails',
  'fails/build',
  'fails.2',
  'build',
  'deploy',
  'note',
  'build/note',
  'all',
  'bash',
  'failed',
  'eve',
  '-',
  '--',
  '---',
  '',
  ' ',
  '__proto__',
  'constructor',
  "x'; DELETE workflow_instances; --",
  '\u001b[31mred\u001b]0;title\u0007',
  'line\nline',
  '☃',
  '\uD800',
  'x'.repeat(10_000),
  'in.json',
  'k=v',
  '=',
  '1',
  '-1',
  '1e9',
  '99999999999999999999',
  '{"a":1}',
  '{"a":',
  '[[[[',
  '"x"',
  'User::"ann"',
  'Stage::"deploy"',
  'User::',
  'approve-stage',
];
const word = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...WORDS) },
  // no path that leads elsewhere, and no NUL: no process can be given one
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'binary', maxLength: 8 }).map((text) => text.replace(/[/.\0]/g, '_')),
  },
);

/** As the command wants it, or with some words too many, too few or of another command. */
const commandLine = fc
  .constantFrom(...SHAPES)
  .chain(({ words, arguments: count, options }) =>
    fc.record({
      words: fc.constant(words),
      args: fc.array(word, { minLength: Math.max(0, count - 1), maxLength: count }),
      options: fc.array(
        fc.tuple(fc.constantFrom('--config', '--nope', ...options, ...options, ...options), word),
        {
          maxLength: options.length + 1,
        },
      ),
      isJson: fc.boolean(),
      stdin: fc.oneof(fc.json(), fc.string({ unit: 'binary', maxLength: 20 })),
    }),
  )
  .map(({ words, args, options, isJson, stdin }) => {
    const given = options.flatMap(([name, value]) => (FLAGS.includes(name) ? [name] : [name, value]));
    return { argv: [...words, ...args, ...given, ...(isJson ? ['--json'] : [])], stdin };
  });

describe('any command line', () => {
  it('ends with an exit code of the contract, speaks JSON where it should, and never of its inside', async () => {
    await fc.assert(
      fc.asyncProperty(commandLine, async ({ argv, stdin }) => {
        const { exit, out, err } = await vapora(argv, stdin);
        expect(EXITS, err).toContain(exit);
        expect(err).not.toMatch(/^\s+at .*:\d+/m);
        expect(err + out).not.toMatch(/\[object |error\[internal\]|ERR_[A-Z]/);
        expect(err + out, 'nothing that was typed steers the terminal').not.toMatch(/(?![\t\n])\p{Cc}/u);
        if (exit !== 0) expect(err + out).not.toBe('');
        if (!argv.includes('--json')) return;
        for (const line of out.split('\n').slice(0, -1)) JSON.parse(line);
        expect(out === '' || out.endsWith('\n')).toBe(true);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});
