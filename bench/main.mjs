// `npm run bench`: all scenarios and their floor in one run. `--json FILE` writes the figures, `--seconds N` sets the time of each.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    seconds: { type: 'string', default: '6' },
    instances: { type: 'string', default: '10000' },
  },
});
if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
  process.stderr.write('nothing is built yet: run `npm run build`\n');
  process.exit(2);
}
const { machine } = await import('./workload.mjs');

function run(file, ...args) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawnSync(process.execPath, [path, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const last = child.stdout.trim().split('\n').at(-1) ?? '';
  if (child.status !== 0)
    throw new Error(`${file} ${args.join(' ')} failed with ${child.status ?? child.signal}`);
  return JSON.parse(last);
}

const scenarios = [];
for (const workflow of ['seq3', 'par4', 'saga']) {
  for (const inFlight of [64, 1]) {
    process.stderr.write(`${workflow}, ${inFlight} in flight …\n`);
    const measured = run('scenario.mjs', workflow, String(inFlight), options.seconds);
    const floor = run('floor.mjs', JSON.stringify(measured.written));
    const floorPerSecond = (measured.workflows / floor.ms) * 1000;
    scenarios.push({ ...measured, floorPerSecond, ratio: measured.perSecond / floorPerSecond });
  }
}
const commits = 500;
const raw = run(
  'floor.mjs',
  JSON.stringify({
    journalRows: commits,
    journalBytes: commits * 1100,
    projectedRows: 0,
    projectedBytes: 0,
    projections: 0,
  }),
);
const commitMs = raw.ms / commits;
const alone = scenarios.find((row) => row.workflow === 'seq3' && row.inFlight === 1);
process.stderr.write('recovery …\n');
const recovery = run('recovery.mjs', 'active', options.instances, 'settled');
const recoveryFresh = run('recovery.mjs', 'active', options.instances, 'fresh');
process.stderr.write('waiting …\n');
const waiting = run('recovery.mjs', 'waiting', options.instances, 'settled');

const plain = { style: { head: [], border: [] } };
const table = new Table({
  ...plain,
  head: [
    'scenario',
    'in flight',
    'workflows/s',
    'p50 ms',
    'p99 ms',
    'floor/s',
    'ratio',
    'commits/wf',
    'MB peak',
    'B disk/wf',
  ],
  colAligns: ['left', ...Array.from({ length: 9 }, () => 'right')],
});
for (const row of scenarios) {
  table.push([
    row.workflow,
    row.inFlight,
    row.perSecond.toFixed(0),
    row.p50.toFixed(2),
    row.p99.toFixed(2),
    row.floorPerSecond.toFixed(0),
    row.ratio.toFixed(2),
    (row.written.commits / row.workflows).toFixed(2),
    row.peakMemoryMb.toFixed(0),
    row.diskBytesPerWorkflow.toFixed(0),
  ]);
}
process.stdout.write(`${machine()}\n${table}\n`);
process.stdout.write(
  `one seq3 alone: p50 ${alone.p50.toFixed(2)} ms, the time of ${(alone.p50 / commitMs).toFixed(1)} single-row commits (${commitMs.toFixed(2)} ms each)\n` +
    recoveryLine('that were there for a while', recovery) +
    recoveryLine('that had all just been started', recoveryFresh) +
    `waiting: ${waiting.count} instances that wait for an approval, recovered in ${waiting.ms.toFixed(0)} ms, process at ${waiting.memoryMb.toFixed(0)} MB (peak ${waiting.peakMemoryMb.toFixed(0)} MB)\n`,
);
if (options.json) {
  const figures = {
    machine: machine(),
    at: new Date().toISOString(),
    scenarios,
    commitMs,
    recovery,
    recoveryFresh,
    waiting,
  };
  writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`);
}

function recoveryLine(which, { count, ms, firstMs, openedMs }) {
  const [all, first, opened] = [ms, firstMs, openedMs].map((time) => time.toFixed(0));
  return `recovery: ${count} active instances ${which} are with their agents ${all} ms after opening began (first after ${first} ms, store open after ${opened} ms)\n`;
}
