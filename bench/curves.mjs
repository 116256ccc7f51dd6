// `node bench/curves.mjs [--only stages,history] [--top 100000] [--quick] [--out bench/results/curves]`: how costs grow with what is stored, written
// and configured. Writes the figures as JSON, a plot of each curve, and a page that shows them. Each curve is measured in a process of its own.
// `--top`: the largest size of any curve; `--quick`: sizes so small that the figures mean nothing; `--note`: what to say about the run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { exponentOf, steepestEnd } from './curves/fit.mjs';
import { page } from './curves/page.mjs';
import { plot } from './curves/plot.mjs';
import { machine } from './workload.mjs';

const NAMES = ['instances', 'stages', 'artifacts', 'policies', 'agents', 'history'];
/** What noise adds to the exponent of what is linear. */
const TOLERANCE = 0.1;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: NAMES.join(',') },
    top: { type: 'string', default: '100000000' },
    out: { type: 'string', default: fileURLToPath(new URL('results/curves', import.meta.url)) },
    note: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    measure: { type: 'string' },
  },
});

if (options.measure !== undefined) await measureHere(options.measure);
else await measureAll();

/** Prints a line of JSON a size: for the process that asked. */
async function measureHere(name) {
  const { curve, measure } = await import(`./curves/${name}.mjs`);
  const sizes = options.quick ? curve.quick : curve.sizes.filter((size) => size <= Number(options.top));
  for await (const row of measure(sizes, options.quick ? 0.02 : 1)) {
    process.stderr.write(`  ${JSON.stringify(row)}\n`);
    process.stdout.write(`${JSON.stringify(row)}\n`);
  }
  process.exit(0);
}

async function measureAll() {
  const wanted = options.only.split(',');
  const unknown = wanted.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) stop(`no curve \`${unknown}\`: ${NAMES.join(', ')}`);
  mkdirSync(options.out, { recursive: true });
  const file = join(options.out, 'curves.json');
  let curves = {};
  for (const name of wanted) {
    process.stderr.write(`${name} …\n`);
    const measured = await measureOne(name);
    writeFileSync(join(options.out, `${name}.svg`), `${plot(measured)}\n`);
    const known = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).curves : {};
    const all = { ...known, [name]: measured };
    curves = Object.fromEntries(NAMES.filter((each) => each in all).map((each) => [each, all[each]]));
    writeFileSync(file, `${JSON.stringify({ curves }, null, 2)}\n`);
    writeFileSync(join(options.out, 'README.md'), page(curves));
  }
  for (const [name, { series }] of Object.entries(curves)) {
    for (const { name: what, exponent, steepest } of series) {
      const verdict = steepest > 1 + TOLERANCE ? '  WORSE THAN LINEAR' : '';
      process.stdout.write(
        `${name}: ${what}: ${exponent.toFixed(2)}, at its steepest ${steepest.toFixed(2)}${verdict}\n`,
      );
    }
  }
}

async function measureOne(name) {
  const { curve } = await import(`./curves/${name}.mjs`);
  const path = fileURLToPath(import.meta.url);
  const args = [path, '--measure', name, '--top', options.top, ...(options.quick ? ['--quick'] : [])];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.status !== 0) stop(`${name} failed with ${child.status ?? child.signal}`);
  const rows = child.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const series = Object.entries(curve.series).map(([key, what]) => {
    const points = rows.map((row) => ({ x: row.x, y: Math.round(row[key] * 10) / 10 }));
    return { name: what, exponent: exponentOf(points), steepest: steepestEnd(points), points };
  });
  const { x, dominant } = curve;
  const at = new Date().toISOString().slice(0, 10);
  return { title: `Cost against ${x}`, x, at, machine: machine(), note: options.note, dominant, series };
}

function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
