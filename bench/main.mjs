// `npm run bench`: scenarios with their floor, authorization, recovery, waiting and the command line, and one table of it.
// `--runs N` (medians of so many, default 5), `--seconds N` of each measurement, `--only scenarios,…` (the parts below), `--workflows seq3`
// (these scenarios only), `--instances N` (of recovery, waiting and command line), `--json FILE` writes the figures; parts that did not run stay in FILE as they were.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { print } from './report.mjs';

const PARTS = { scenarios, commit, authorization, recovery, waiting, cli };
const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    seconds: { type: 'string', default: '6' },
    runs: { type: 'string', default: '5' },
    instances: { type: 'string', default: '10000' },
    workflows: { type: 'string', default: 'seq3,par4,saga' },
    only: { type: 'string', default: Object.keys(PARTS).join(',') },
  },
});
const runs = Number(options.runs);
const wanted = options.only.split(',');
const unknown = wanted.filter((part) => !(part in PARTS));
if (unknown.length > 0) stop(`no part \`${unknown[0]}\`: ${Object.keys(PARTS).join(', ')}`);
if (!existsSync(new URL('../dist/index.js', import.meta.url)))
  stop('nothing is built yet: run `npm run build`');
const { machine, median } = await import('./workload.mjs');

const measured = {};
for (const part of wanted) {
  process.stderr.write(`${part} …\n`);
  measured[part] = PARTS[part]();
}
const figures = { machine: machine(), at: new Date().toISOString(), runs, ...measured };
print(figures);
if (options.json) {
  const earlier = existsSync(options.json) ? JSON.parse(readFileSync(options.json, 'utf8')) : {};
  const others = (earlier.scenarios ?? []).filter(({ workflow }) => !options.workflows.includes(workflow));
  if (figures.scenarios) figures.scenarios.push(...others);
  writeFileSync(options.json, `${JSON.stringify({ ...earlier, ...figures }, null, 2)}\n`);
}

/** Each run has its floor right after it; each figure is the median of its runs. */
function scenarios() {
  return options.workflows.split(',').flatMap((workflow) =>
    [64, 1].map((inFlight) => {
      process.stderr.write(`  ${workflow}, ${inFlight} in flight\n`);
      return medians(() => {
        const row = run('scenario.mjs', workflow, String(inFlight), options.seconds);
        const floor = run('floor.mjs', JSON.stringify(row.written));
        const floorPerSecond = (row.workflows / floor.ms) * 1_000;
        return { ...row, floorPerSecond, ratio: row.perSecond / floorPerSecond };
      });
    }),
  );
}

/** One commit of the raw engine. */
function commit() {
  const rows = 500;
  const written = { journalRows: rows, journalBytes: rows * 1_100 };
  const rest = { projectedRows: 0, projectedBytes: 0, projections: 0 };
  return medians(() => ({ ms: run('floor.mjs', JSON.stringify({ ...written, ...rest })).ms / rows }));
}

function authorization() {
  return medians(() => run('authorization.mjs'));
}

function recovery() {
  return ['settled', 'fresh'].map((age) => ({
    age,
    ...medians(() => run('recovery.mjs', 'active', options.instances, age)),
  }));
}

function waiting() {
  return medians(() => run('recovery.mjs', 'waiting', options.instances, 'settled'));
}

function cli() {
  return run('cli.mjs', options.instances);
}

/** Of several runs, the median of every number in them; what is no number is as in the first. */
function medians(measure) {
  const results = Array.from({ length: runs }, measure);
  const combine = (values) => {
    const [first] = values;
    if (typeof first === 'number') return median(values);
    if (typeof first !== 'object' || first === null) return first;
    return Object.fromEntries(
      Object.keys(first).map((key) => [key, combine(values.map((value) => value[key]))]),
    );
  };
  return combine(results);
}

/** The figures on the last line that a program prints. */
function run(file, ...args) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawnSync(process.execPath, [path, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.status !== 0) {
    throw new Error(`${file} ${args.join(' ')} failed with ${child.status ?? child.signal}`);
  }
  return JSON.parse(child.stdout.trim().split('\n').at(-1) ?? '');
}

function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
