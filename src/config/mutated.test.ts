import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Problem, VaporaError } from '../core/errors.js';
import { type EngineConfig, parseConfig } from './load.js';
import { expectPlaces } from './places.suite.js';

const parse = (text: string) => parseConfig(text, { file: 'workflows.toml' }, {});

type Outcome = { readonly config: EngineConfig } | { readonly problems: readonly Problem[] };

/** Nothing but a coded refusal is ever thrown. */
function read(text: string): Outcome {
  try {
    return { config: parse(text) };
  } catch (error) {
    if (!(error instanceof VaporaError)) throw error;
    expect(error.code).toBe('config_invalid');
    return { problems: error.problems };
  }
}

// A document as a list of tables, each a header with lines of `key = value`: so that it can be changed line by line.
interface Table {
  readonly header: string;
  readonly lines: readonly string[];
}

const word = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
const words = (minLength: number) => fc.uniqueArray(word, { minLength, maxLength: 3 });
const written = (value: unknown) => JSON.stringify(value);

/** Some of the lines, in any order. */
function lines(all: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<string[]> {
  return fc
    .record(all, { requiredKeys: [] })
    .map((some) => Object.entries(some).map(([key, value]) => `${key} = ${written(value)}`))
    .chain((list) => fc.shuffledSubarray(list, { minLength: list.length }));
}

const retry = { max_attempts: 2, initial_ms: 10, max_ms: 20, factor: 1.5, jitter: 0.1 };
const inline = `{ ${Object.entries(retry)
  .map(([key, value]) => `${key} = ${value}`)
  .join(', ')} }`;

const engineTable: fc.Arbitrary<Table> = lines({
  max_parallel_tasks: fc.integer({ min: 1, max: 100 }),
  workflow_timeout: fc.integer({ min: 1, max: 1_000 }),
  approval_gates_enabled: fc.boolean(),
  cedar_policy_dir: fc.constant('policies'),
  store: fc.constantFrom('mem://', 'rocksdb://x/y', 'ws://localhost:8000/a/b'),
  on_deny: fc.constantFrom('block', 'compensate'),
  saga_parallelism: fc.integer({ min: 1, max: 9 }),
}).map((list) => ({ header: '[engine]', lines: list }));

function stageTable(name: string, before: readonly string[]): fc.Arbitrary<Table> {
  const more = lines({
    parallel: fc.constant(true),
    needs: fc.subarray([...before]),
    approval_required: fc.boolean(),
    timeout: fc.integer({ min: 1, max: 1_000 }),
    compensation_agents: words(0),
    compensation_timeout: fc.integer({ min: 1, max: 99 }),
    compensate_failed: fc.constantFrom('completed_tasks', 'always', 'never'),
  });
  return fc
    .record({ agents: words(1), more, hasRetry: fc.boolean() })
    .map(({ agents, more: some, hasRetry }) => ({
      header: '[[workflows.stages]]',
      lines: [
        `name = ${written(name)}`,
        `agents = ${written(agents)}`,
        ...(hasRetry ? [`retry = ${inline}`] : []),
        ...some,
      ],
    }));
}

const workflowTables: fc.Arbitrary<Table[]> = fc
  .uniqueArray(fc.record({ name: word, stages: words(1) }), { maxLength: 3, selector: ({ name }) => name })
  .chain((list) =>
    fc.tuple(
      ...list.flatMap(({ name, stages }) => [
        fc.constant<Table>({ header: '[[workflows]]', lines: [`name = ${written(name)}`] }),
        ...stages.map((stage, index) => stageTable(stage, stages.slice(0, index))),
      ]),
    ),
  );

const agentTables: fc.Arbitrary<Table[]> = fc
  .uniqueArray(fc.record({ name: word, roles: words(1) }), { maxLength: 2, selector: ({ name }) => name })
  .map((list) =>
    list.map(({ name, roles }) => ({
      header: '[[agents]]',
      lines: [`name = ${written(name)}`, `roles = ${written(roles)}`, 'command = ["true"]'],
    })),
  );

const validDocument: fc.Arbitrary<Table[]> = fc
  .tuple(engineTable, workflowTables, agentTables)
  .map(([engine, workflows, agents]) => [engine, ...workflows, ...agents]);

function textOf(tables: readonly Table[], lineEnd = '\n'): string {
  return tables.flatMap(({ header, lines: list }) => [header, ...list]).join(lineEnd) + lineEnd;
}

/** What the configuration says, without where it says it. */
function meaning({ engine, templates, agents }: EngineConfig) {
  return { engine, templates: [...templates.values()], agents };
}

const VALUES = [
  '-1',
  '0',
  '1e400',
  'nan',
  '9007199254740993',
  '0.5',
  '""',
  '"\\u0000"',
  '"a b"',
  '"../x"',
  `"${'x'.repeat(300)}"`,
  '"__proto__"',
  '[]',
  '[1]',
  '["a", "a"]',
  '{}',
  '{ max_attempts = 0, x = 1 }',
  'true',
  '1979-05-27',
  '"redis://h"',
  '"compensat"',
];
const KEYS = [
  'name',
  'agents',
  'needs',
  'store',
  'retry',
  'retyr',
  '__proto__',
  'constructor',
  '"a b"',
  'a.b.c',
  'roles',
];
const HEADERS = [
  '[engine]',
  '[[engine]]',
  '[workflows]',
  '[[workflows.stages]]',
  '[agents]',
  '[[agents]]',
  '[x]',
  '[engine.limits]',
];

/** One change of one line of a document: replaced, repeated, dropped, moved, or another put in its place. */
const change = fc.record({
  kind: fc.constantFrom('value', 'key', 'drop', 'repeat', 'swap', 'header', 'cut', 'junk' as const),
  at: fc.nat(),
  other: fc.nat(),
  value: fc.constantFrom(...VALUES),
  key: fc.constantFrom(...KEYS),
  header: fc.constantFrom(...HEADERS),
  junk: fc.string({ unit: 'binary', maxLength: 5 }),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function changed(list: readonly string[], { kind, at, other, value, key, header, junk }: Change): string[] {
  const index = at % list.length;
  const line = list[index] ?? '';
  const [name = '', ...rest] = line.split(' = ');
  switch (kind) {
    case 'value':
      return list.with(index, `${name} = ${value}`);
    case 'key':
      return list.with(index, `${key} = ${rest.join(' = ') || value}`);
    case 'drop':
      return list.toSpliced(index, 1);
    case 'repeat':
      return list.toSpliced(index, 0, line);
    case 'swap':
      return list.with(index, list[other % list.length] ?? '').with(other % list.length, line);
    case 'header':
      return list.toSpliced(index, 0, header);
    case 'cut':
      return list.with(index, line.slice(0, other % (line.length + 1)));
    default:
      return list.with(
        index,
        line.slice(0, other % (line.length + 1)) + junk + line.slice(other % (line.length + 1)),
      );
  }
}

describe('a valid configuration', () => {
  it('is accepted, and says the same with other blanks, comments and line ends', () => {
    fc.assert(
      fc.property(validDocument, fc.constantFrom('\n', '\r\n', '\n\n', '  # [x] "\n'), (tables, lineEnd) => {
        const plain = read(textOf(tables));
        if (!('config' in plain)) throw new Error(JSON.stringify(plain.problems));
        const other = read(`\uFEFF${textOf(tables, lineEnd)}`);
        if (!('config' in other)) throw new Error(JSON.stringify(other.problems));
        expect(meaning(other.config)).toEqual(meaning(plain.config));
      }),
      { numRuns: 150 },
    );
  });

  it('says the same whichever order its tables and keys are in, as far as their order means nothing', () => {
    fc.assert(
      fc.property(validDocument, fc.nat(), (tables, turn) => {
        const isEngine = ({ header }: Table) => header === '[engine]';
        const moved = [...tables.filter((table) => !isEngine(table)), ...tables.filter(isEngine)];
        const turned = moved.map(({ header, lines: list }) => {
          const at = turn % Math.max(1, list.length);
          return { header, lines: [...list.slice(at), ...list.slice(0, at)] };
        });
        expect(meaning(parse(textOf(turned)))).toEqual(meaning(parse(textOf(tables))));
      }),
      { numRuns: 150 },
    );
  });
});

describe('a configuration with mistakes in it', () => {
  it('is read, or refused with a place for each problem, the same each time', () => {
    fc.assert(
      fc.property(validDocument, fc.array(change, { minLength: 1, maxLength: 4 }), (tables, changes) => {
        const start = textOf(tables).trimEnd().split('\n');
        const list = changes.reduce(
          (now: string[], one) => (now.length === 0 ? now : changed(now, one)),
          start,
        );
        const text = list.join('\n');
        const first = read(text);
        if ('config' in first) return expectPlaces(text, first.config.warnings);
        expect(first.problems.length).toBeGreaterThan(0);
        expectPlaces(text, first.problems);
        expect(read(text)).toEqual(first);
      }),
      { numRuns: 1_500 },
    );
  });

  it('is refused with one problem for each of its unknown keys, where they stand', () => {
    fc.assert(
      fc.property(validDocument, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (tables, places) => {
        const at = new Set(places.map((place) => place % tables.length));
        const text = textOf(
          tables.map((table, index) =>
            at.has(index) ? { ...table, lines: ['zzz = 1', ...table.lines] } : table,
          ),
        );
        const outcome = read(text);
        const found = 'problems' in outcome ? outcome.problems : [];
        const lineNumbers = text
          .split('\n')
          .flatMap((line, index) => (line === 'zzz = 1' ? [index + 1] : []));
        const unknown = found.filter(({ message }) => message.startsWith('unknown key `zzz`'));
        expect(unknown.map(({ place }) => place?.line).sort()).toEqual(lineNumbers.sort());
      }),
      { numRuns: 150 },
    );
  });
});
