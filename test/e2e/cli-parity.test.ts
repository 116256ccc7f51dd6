/** Every command does the same on a store and over a server: the same steps are taken on both, and the answers compared. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeHost } from '../../src/cli/host.suite.js';
import { execute } from '../../src/cli/main.js';
import { cliLeaves } from '../cli-leaves.js';
import { CliPipeline } from './cli-pipeline.js';

/** Commands that work on one side only; docs/cli.md says so too. */
const ONE_SIDED: Readonly<Record<string, string>> = {
  init: 'makes files of this machine',
  check: 'reads files of this machine',
  doctor: 'is about this machine; a server that holds the store is one of its findings',
  completion: 'prints a script',
  serve: 'is the server',
  restore: 'needs an empty store that nobody holds',
  purge: 'a server does it by itself',
};

/** Machines that do other things beside need their time. */
const SEED_MS = 360_000;

const MORE_WORKFLOWS = `
[[workflows]]
name = "nightly"
trigger = "schedule"
stages = [{ name = "a", agents = ["ok"] }]
[workflows.schedule]
cron = "0 3 1 1 *"
`;

/** One that is always a process of its own, one whose server is. */
interface Side extends Known {
  readonly cli: CliPipeline;
}

interface Known {
  /** For commands that ask a server only where one is named. */
  readonly named: readonly string[];
  /** What steps before have said, for those that go on with it. */
  readonly said: Map<string, Record<string, unknown>>;
}

interface Step {
  readonly args: readonly string[] | ((known: Known) => readonly string[]);
  /** Keeps the first line of what is said, under this name. */
  readonly keep?: string;
  readonly stdin?: string;
  /** Keys of what changes between two questions. */
  readonly varies?: readonly string[];
  readonly prepare?: (cli: CliPipeline) => void;
}

const step = (...args: string[]): Step => ({ args });
const breakUndo = (cli: CliPipeline): void => cli.write('undo-is-broken', '');
const mendUndo = (cli: CliPipeline): void => cli.remove('undo-is-broken');
const kept = ({ said }: Known, name: string, key: string): string => String(said.get(name)?.[key]);
const ANN = ['--by', 'ann', '--group', 'ops'];

/** What changes something is done to two stores, in this order: later steps work on what earlier ones have made. */
const CHANGES: readonly Step[] = [
  step('resume', '--all'),
  step('run', 'good', '--id', 'good-1', '--input', '{"n": 1}', '--label', 'env=prod'),
  { ...step('run', 'slow', '--id', 'slow-1', '--input', '-'), stdin: '{"ms": 1}' },
  step('run', 'goood'),
  step('run', 'good', '--id', 'no/id'),
  step('run', 'bad', '--id', 'bad-1', '--initiator', 'ann', '--group', 'ops'),
  step('run', 'denied', '--id', 'denied-1'),
  step('run', 'gate', '--id', 'gate-1'),
  step('run', 'gate', '--id', 'gate-3', '--approve', 'all', '--initiator', 'mallory'),
  step('approve', 'gate-1', 'c'),
  step('approve', 'gate-1', 'b', '--by', 'mallory'),
  step('approve', 'gate-1', 'b', ...ANN, '--comment', 'good'),
  step('approve', 'no/id', 'b'),
  step('rollback', 'gate-1', '--to', 'a', ...ANN),
  step('rollback', 'gate-3'),
  step('reject', 'gate-1', 'b', '--reason', 'no', ...ANN),
  step('resume', 'denied-1'),
  step('resume', 'none-1'),
  step('resume', '--all'),
  step('retry', 'bad-1', ...ANN),
  step('cancel', 'denied-1', '--no-compensate'),
  { ...step('run', 'lost', '--id', 'lost-1'), prepare: breakUndo },
  step('run', 'lost', '--id', 'lost-2'),
  step('dead-letters', 'retry', 'lost-1/a'),
  { ...step('dead-letters', 'retry', 'lost-1/a', ...ANN), prepare: mendUndo },
  step('dead-letters', 'retry', 'lost-9'),
  step('dead-letters', 'resolve', 'lost-2/a', '--reason', 'by hand', ...ANN),
  step('schedules', 'pause', 'nightly', ...ANN),
  step('schedules', 'resume', 'nightly', ...ANN),
  step('schedules', 'resume', 'no/schedule'),
  {
    ...step('token', 'create', '--user', 'bob', '--token-group', 'ops', '--expires', '30', ...ANN),
    keep: 'token',
  },
  step('token', 'create', '--agent', 'no/name'),
  { args: (side) => ['token', 'revoke', kept(side, 'token', 'id'), ...ANN] },
  step('token', 'revoke', '0000000000000000'),
];

const TEST_POLICY = [
  ...['policy', 'test', '--principal', 'Orchestrator::"vapora-orchestrator"'],
  ...['--action', 'execute-stage', '--resource'],
];

/** What only looks is asked of one store: first over the server that holds it, then of the store, once the server has stopped. */
const READS: readonly Step[] = [
  { ...step('list', '--limit', '3'), keep: 'page' },
  { args: (side) => ['list', '--limit', '3', '--cursor', kept(side, 'page', 'next')] },
  step('list', '--state', 'failed', '--workflow', 'bad', '--initiator', 'ann'),
  step('list', '--workflow', 'goood'),
  step('show', 'gate-1'),
  step('show', 'gate-2'),
  step('show', 'no/id'),
  step('history', 'gate-1'),
  step('history', 'good-1', '--follow'),
  step('artifacts', 'good-1'),
  step('artifacts', 'good-1', 'a/note'),
  step('artifacts', 'good-1', 'not'),
  step('rollback', 'gate-3', '--preview', '--to', 'x'),
  step('audit', 'verify', '--all'),
  step('audit', 'verify', 'none-1'),
  step('audit', 'export', 'good-1'),
  step('dead-letters', 'list'),
  // what an engine knows of its own past
  { ...step('agents'), varies: ['score', 'success_rate'] },
  step('schedules', 'list'),
  step('token', 'list'),
  { args: ({ named }) => ['policy', 'check', ...named] },
  { args: ({ named }) => [...TEST_POLICY, 'Stage::"forbidden"', ...named] },
  { args: ({ named }) => [...TEST_POLICY, 'Stage::"a"', '--workflow', 'gate', ...named] },
  { args: ({ named }) => [...TEST_POLICY, 'Stage::"a"', ...named] },
  { args: ({ named }) => [...TEST_POLICY, 'Stage::"none"', ...named] },
  step('policy', 'what-if', 'none'),
  { ...step('backup', 'all.backup'), prepare: (cli) => cli.remove('all.backup'), varies: ['at'] },
  // every question is a decision, this one too
  { ...step('policy', 'what-if', 'next', '--since', '1d'), varies: ['since', 'requests', 'decisions'] },
];

/** Made up on the spot, and what an engine knows of its own past. */
const MADE_UP: readonly string[] = ['id', 'token', 'score', 'success_rate'];
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

/** With a place-holder for each value of these keys, and for each text of `known` what it maps to. */
function normalized(
  value: unknown,
  keys: readonly string[],
  known: ReadonlyMap<string, string>,
  key = '',
): unknown {
  if (value !== null && keys.includes(key)) return `<${key}>`;
  if (Array.isArray(value)) return value.map((inner) => normalized(inner, keys, known));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, normalized(inner, keys, known, name)]),
    );
  }
  if (typeof value !== 'string') return value;
  return [...known].reduce((found, [own, common]) => found.replaceAll(own, common), value);
}

function withoutTimes(value: unknown): unknown {
  if (typeof value === 'string') return TIME.test(value) ? '<time>' : value;
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, name === 'ms' ? '<ms>' : withoutTimes(inner)]),
  );
}

/** Whether an agent's beginning is heard before its end is a matter of luck, and counts as an event. */
const withoutLuck = (line: Record<string, unknown>): Record<string, unknown>[] =>
  line.type === 'task_started' ? [] : [{ ...line, ...('seq' in line ? { seq: '<seq>' } : {}) }];

interface Said {
  readonly exit: number | null;
  readonly lines: readonly Record<string, unknown>[];
}

async function take(
  side: Side,
  { args, keep, stdin = '', prepare }: Step,
  run: (cli: CliPipeline, words: readonly string[], stdin: string) => Promise<[number | null, string]>,
): Promise<Said> {
  prepare?.(side.cli);
  const words = typeof args === 'function' ? args(side) : args;
  const [exit, stdout] = await run(side.cli, [...words, '--json'], stdin);
  const texts = stdout.split('\n').filter((line) => line !== '');
  const lines = texts.map((line) => JSON.parse(line) as Record<string, unknown>);
  if (keep !== undefined) side.said.set(keep, lines[0] ?? {});
  return { exit, lines };
}

/** As a user does, in a process that opens the store. */
async function alone(
  cli: CliPipeline,
  words: readonly string[],
  stdin: string,
): Promise<[number | null, string]> {
  const child = cli.start(...words);
  child.stdin.end(stdin);
  child.stderr.resume();
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return Promise.all([exited, text(child.stdout)]);
}

/** The command in this process: what is to be compared is behind the server, which is another one. */
async function asked(cli: CliPipeline, words: readonly string[], stdin: string): Promise<[number, string]> {
  const host = fakeHost({ cwd: cli.directory, env: cli.env, stdin });
  return [await execute(words, host), host.out.join('')];
}

function wordsOf({ args }: Step): string {
  return (typeof args === 'function' ? args({ named: [], said: new Map() }) : args).join(' ');
}

function makePipeline(): CliPipeline {
  const cli = new CliPipeline();
  cli.append('workflows.toml', MORE_WORKFLOWS);
  cli.makeDirectory('next');
  cli.write(
    'next/all.cedar',
    '@id("all") permit (principal, action, resource);\n@id("no") forbid (principal, action == Action::"approve-stage", resource);',
  );
  return cli;
}

function newSide(): Side {
  return { cli: makePipeline(), named: [], said: new Map() };
}

/** What there is to look at. */
const SEED: readonly (readonly string[])[] = [
  ['run', 'good', '--id', 'good-1', '--label', 'env=prod'],
  ['run', 'bad', '--id', 'bad-1', '--initiator', 'ann'],
  ['run', 'gate', '--id', 'gate-1'],
  ['approve', 'gate-1', 'b', ...ANN],
  ['run', 'gate', '--id', 'gate-3', '--approve', 'all', '--initiator', 'mallory'],
  ['run', 'denied', '--id', 'denied-1'],
  ['schedules', 'pause', 'nightly'],
  ['token', 'create', '--user', 'bob'],
];

describe('what changes something', () => {
  const [local, remote] = [newSide(), newSide()];
  beforeAll(async () => {
    await remote.cli.serve();
  });
  afterAll(() => {
    for (const side of [local, remote]) side.cli.close();
  });

  it.each(CHANGES.map((each) => [wordsOf(each), each] as const))('`%s` does the same', async (_, each) => {
    const saids = await Promise.all([take(local, each, alone), take(remote, each, asked)]);
    const [here, there] = saids.map(({ exit, lines }) => ({
      exit,
      lines: withoutTimes(normalized(lines.flatMap(withoutLuck), MADE_UP, new Map())),
    }));
    expect(there).toEqual(here);
  });
});

describe('what only looks', () => {
  const answers = new Map<Step, unknown>();
  const cli = makePipeline();
  beforeAll(async () => {
    const { url, child } = await cli.serve();
    for (const words of SEED) await asked(cli, words, '');
    const remote: Side = { cli, named: ['--server', url], said: new Map() };
    const known = new Map([[url, '<place>']]);
    for (const each of READS) {
      answers.set(each, normalized(await take(remote, each, asked), each.varies ?? [], known));
    }
    child.kill('SIGTERM');
    await once(child, 'close');
  }, SEED_MS);
  afterAll(() => cli.close());

  const said: Known['said'] = new Map();
  it.each(READS.map((each) => [wordsOf(each), each] as const))('`%s` says the same', async (_, each) => {
    const answer = await take({ cli, named: [], said }, each, alone);
    const policies = join(cli.directory, 'policies');
    // where a server's policies are is nobody's business
    const known = new Map([
      [`${policies}/`, ''],
      [policies, '<place>'],
    ]);
    expect(answers.get(each)).toEqual(normalized(answer, each.varies ?? [], known));
  });
});

describe('the list of commands', () => {
  const leaves = cliLeaves().map(({ words }) => words);
  const isTaken = (words: string): boolean =>
    [...CHANGES, ...READS].some((each) => `${wordsOf(each)} `.startsWith(`${words} `));

  it.each(leaves)('`%s` is among the steps, or works on one side only for a reason', (words) => {
    expect(isTaken(words), 'is among the steps').toBe(!Object.hasOwn(ONE_SIDED, words));
  });

  it('has an option `--server` for each that is not one-sided, and for no other', () => {
    for (const { words, command } of cliLeaves()) {
      const hasServer = command.options.some(({ long }) => long === '--server');
      expect(hasServer, words).toBe(!Object.hasOwn(ONE_SIDED, words));
    }
  });

  it('is told in docs/cli.md where one works on one side only', () => {
    const document = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    const rows = [...document.matchAll(/^\| `vapora ([a-z -]+)` \| (.+) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, words, reason]) => [words, reason]))).toEqual(ONE_SIDED);
  });
});
