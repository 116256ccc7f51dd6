/** The command: `npm run simulate -- --seeds N [--seed S] [--trace]`. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { type Caught, type Folders, readCase } from './broken.js';
import { Coverage } from './coverage.js';
import { workOff } from './crew.js';
import { type EngineCode, loadEngine } from './engine-code.js';
import { makeScenario } from './generate.js';
import { MORE_VARIANTS } from './more-variants.js';
import { printCoverage, printFigures } from './report.js';
import { checkScenario, runScenario } from './run.js';
import type { Scenario } from './scenario.js';
import { shrink } from './shrink.js';
import { VARIANTS } from './variants.js';
import type { Failed, Job } from './worker.js';

const CHUNK = 25;
/** Seeds within which a variant must be caught. */
const VARIANT_SEEDS = 2_000;
const DEFAULT_SEEDS = '200';
/** So many seeds have to come by all that is legal: a world that the seeds never make is a gap in the net. */
const COMPLETE_SEEDS = 1_000;
const USAGE = `npm run simulate -- [options]
  --seeds N     so many seeds (default ${DEFAULT_SEEDS})
  --seed S      the first one (default 1)
  --trace       prints all that happens in seed S, or in the case
  --variants    runs the broken variants instead, each until it is caught
  --cases       runs the cases of test/simulation/cases/ instead
  --case NAME   runs one of them
  --save NAME   makes a case of what is found
  --threads N   threads (default: one a core)
  --coverage    prints all that was come by, not only what is missing`;

export async function main(args: string[], places: Folders): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string', default: DEFAULT_SEEDS },
      seed: { type: 'string', default: '1' },
      trace: { type: 'boolean', default: false },
      variants: { type: 'boolean', default: false },
      cases: { type: 'boolean', default: false },
      case: { type: 'string' },
      save: { type: 'string' },
      threads: { type: 'string', default: String(availableParallelism()) },
      coverage: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [seeds, first, threads] = [values.seeds, values.seed, values.threads].map(Number);
  if (!isCount(seeds) || !isCount(first) || !isCount(threads)) throw new Error('a number above 0 is wanted');
  if (values.variants) return runVariants(places, threads, first);
  const code = await loadEngine(`${pathToFileURL(places.dist).href}/`);
  if (values.cases) return runCases(code, places, readdirSync(places.cases));
  if (values.case !== undefined) {
    const name = `${values.case}.json`;
    return values.trace ? printTrace(code, readCase(places.cases, name)) : runCases(code, places, [name]);
  }
  if (values.trace) return printTrace(code, makeScenario(first));
  return runSeeds(code, places, { seeds, first, threads, save: values.save, isFull: values.coverage });
}

function isCount(value: number | undefined): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

async function printTrace(code: EngineCode, scenario: Scenario): Promise<number> {
  const { lines, hash, violation } = await runScenario(code, scenario, true);
  console.log(lines.join('\n'));
  console.log(`trace ${hash}`);
  return violation === null ? 0 : 1;
}

interface Wanted {
  readonly seeds: number;
  readonly first: number;
  readonly threads: number;
  readonly save: string | undefined;
  readonly isFull: boolean;
}

async function runSeeds(code: EngineCode, places: Folders, wanted: Wanted): Promise<number> {
  const { seeds, first, threads } = wanted;
  const total = new Coverage();
  const failed: Failed[] = [];
  const started = performance.now();
  let said = started;
  await workOff(places, threads, chunksOf(first, seeds), (answer) => {
    if (answer.kind !== 'seeds') return true;
    total.merge(answer.coverage);
    failed.push(...answer.failed);
    const now = performance.now();
    if (now - said > 60_000) {
      said = now;
      console.log(`${total.data.figures.seeds} seeds so far`);
    }
    return failed.length === 0;
  });
  printFigures(total.data.figures, performance.now() - started);
  printCoverage(total, code, wanted.isFull);
  const [worst] = failed.sort((a, b) => a.seed - b.seed);
  if (worst === undefined) {
    const isComplete = seeds < COMPLETE_SEEDS || total.missing(code).length === 0;
    return isComplete && total.illegal(code).length === 0 ? 0 : 1;
  }
  await explain(code, places, worst, wanted.save);
  return 1;
}

function* chunksOf(first: number, seeds: number): Generator<Job> {
  for (let from = first; from < first + seeds; from += CHUNK) {
    yield { kind: 'seeds', from, count: Math.min(CHUNK, first + seeds - from) };
  }
}

/** Says what went wrong, makes it small, and keeps it where that is wanted. */
async function explain(
  code: EngineCode,
  { cases }: Folders,
  { seed, violation }: Failed,
  save: string | undefined,
): Promise<void> {
  console.log(`\nseed ${seed}: ${violation}`);
  const small = await shrink(code, makeScenario(seed), violation);
  const { lines } = await runScenario(code, small.scenario, true);
  console.log(`\nas small as it gets, after ${small.runs} runs: ${small.violation}`);
  console.log(`${JSON.stringify(small.scenario)}\n\nits last lines:\n${lines.slice(-60).join('\n')}`);
  console.log(`\nagain: npm run simulate -- --seed ${seed} --trace`);
  if (save === undefined) return;
  mkdirSync(cases, { recursive: true });
  writeFileSync(join(cases, `${save}.json`), `${JSON.stringify(small.scenario, null, 2)}\n`);
  console.log(`kept as case ${save}`);
}

async function runCases(code: EngineCode, places: Folders, names: readonly string[]): Promise<number> {
  let bad = 0;
  for (const name of names) {
    const { violation } = await checkScenario(code, readCase(places.cases, name));
    console.log(`${violation === null ? 'ok' : 'BAD'}  ${name}${violation === null ? '' : `: ${violation}`}`);
    if (violation !== null) bad += 1;
  }
  console.log(`${names.length} cases, ${bad} bad`);
  return bad === 0 ? 0 : 1;
}

async function runVariants(places: Folders, threads: number, first: number): Promise<number> {
  const caught: Caught[] = [];
  const variants = [...VARIANTS, ...MORE_VARIANTS];
  const jobs = variants.map(
    (variant): Job => ({ kind: 'variant', variant, from: first, most: VARIANT_SEEDS }),
  );
  await workOff(places, threads, jobs.values(), (answer) => {
    if (answer.kind !== 'variant') return true;
    const { name, where, violation } = answer.caught;
    caught.push(answer.caught);
    if (violation === null) console.log(`MISSED  ${name}: ${where}`);
    else console.log(`caught  ${name}: ${where}, ${violation.split('\n')[0]}`);
    return true;
  });
  const missed = caught.filter(({ violation }) => violation === null);
  console.log(`${caught.length} broken variants, ${missed.length} missed`);
  return missed.length === 0 && caught.length === variants.length ? 0 : 1;
}
