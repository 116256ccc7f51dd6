// `npm run bench:peers`: the scenario `seq3` here and on other durable engines, in turn in one run, and our ratio to each.
// Options: --rounds N (the median of so many is printed), --seconds N (of each measurement), --only NAME (one peer).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { postgres, restate, sqlite } from './servers.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const IN_FLIGHT = 64;
const PEERS = [
  { name: 'DBOS on PostgreSQL', file: 'dbos', serve: postgres },
  { name: 'OpenWorkflow on PostgreSQL', file: 'openworkflow', serve: postgres },
  { name: 'LangGraph on SQLite', file: 'langgraph', serve: sqlite },
  { name: 'Restate', file: 'restate', serve: restate },
];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '8' },
    only: { type: 'string' },
  },
});
const seconds = Number(values.seconds);
const peers = PEERS.filter(({ file }) => values.only === undefined || values.only === file);
if (peers.length === 0) stop(`no peer \`${values.only}\`: ${PEERS.map(({ file }) => file).join(', ')}`);
if (!existsSync(join(here, '..', '..', 'dist', 'index.js')))
  stop('nothing is built yet: run `npm run build`');
if (!existsSync(join(here, 'node_modules'))) install();

const ours = [];
const theirs = new Map(peers.map(({ name }) => [name, []]));
const failures = new Map();
for (let round = 1; round <= Number(values.rounds); round += 1) {
  process.stderr.write(`round ${round} …\n`);
  ours.push(run(join(here, '..', 'scenario.mjs'), ['seq3', String(IN_FLIGHT), String(seconds)], {}));
  for (const peer of peers) {
    if (failures.has(peer.name)) continue;
    try {
      theirs.get(peer.name).push(await measure(peer));
    } catch (error) {
      failures.set(peer.name, error.message);
    }
  }
}
const base = middle(ours);
print('Vapora', base, '');
for (const { name } of peers) {
  if (failures.has(name)) process.stdout.write(`${name.padEnd(28)}not measured: ${failures.get(name)}\n`);
  else {
    const figures = middle(theirs.get(name));
    print(name, figures, `  Vapora does ${(base.perSecond / figures.perSecond).toFixed(1)} times as many`);
  }
}
process.exit(failures.size === 0 ? 0 : 1);

/** One peer over a database or server of its own. */
async function measure({ file, serve }) {
  const directory = await mkdtemp(join(process.env.VAPORA_BENCH_DIR ?? tmpdir(), 'vapora-peer-'));
  let stopServer = () => {};
  try {
    const served = await serve(directory);
    stopServer = served.stop;
    return run(join(here, `${file}.mjs`), [String(IN_FLIGHT), String(seconds)], served.env);
  } finally {
    await stopServer();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The figures on the last line that the program prints. */
function run(file, args, env) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: (seconds + 60) * 1_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (status === 0 && line.startsWith('{')) return JSON.parse(line);
  throw new Error(stderr.trim().slice(0, 1_500) || `${file} ended with ${status ?? signal}`);
}

/** The round whose throughput is the median. */
function middle(rounds) {
  const sorted = [...rounds].sort((a, b) => a.perSecond - b.perSecond);
  return sorted[Math.floor(sorted.length / 2)];
}

function print(name, { perSecond, p50, p99 }, ratio) {
  const figures = `${perSecond.toFixed(0).padStart(6)} workflows/s  p50 ${p50.toFixed(1)} ms  p99 ${p99.toFixed(1)} ms`;
  process.stdout.write(`${name.padEnd(28)}${figures}${ratio}\n`);
}

function install() {
  process.stderr.write('installing the peers …\n');
  const args = ['ci', '--no-audit', '--no-fund'];
  const { status, error } = spawnSync('npm', args, { cwd: here, stdio: ['ignore', 2, 2] });
  if (status !== 0)
    stop(`the peers' packages can't be installed: ${error?.message ?? `npm ended with ${status}`}`);
}

function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
