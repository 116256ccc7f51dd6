// The scenarios, as users would write them: no-op agents in the process, about 200 bytes of artifact handed on.
import { cpus } from 'node:os';
import pino from 'pino';
import { defineWorkflow, openEngine, PermanentError, parseConfig } from '../dist/index.js';

const WORDS =
  'checked build release page order of the with 17 passed in review log for module tests no change a new'.split(
    ' ',
  );
let made = 0;

/** About 200 bytes of text, never the same twice: what is the same everywhere takes no space once it is compressed. */
function artifact() {
  made += 1;
  let content = `${made}:`;
  for (let draw = made; content.length < 195; draw = (draw * 1_103_515_245 + 12_345) % 2_147_483_648) {
    content += ` ${WORDS[(draw >> 8) % WORDS.length]}`;
  }
  return { name: 'result', kind: 'code', content };
}

const agent = (name, more = {}) => ({
  name,
  roles: [name],
  maxConcurrent: 100_000,
  execute: () => ({ artifacts: [artifact()] }),
  compensate: () => undefined,
  ...more,
});

export const AGENTS = [
  agent('a'),
  agent('b'),
  agent('c'),
  agent('d'),
  agent('broken', {
    execute: () => {
      throw new PermanentError('fails for good');
    },
    compensate: () => {
      throw new PermanentError('can not be taken back');
    },
  }),
  // never ends: for instances that are active when the process dies
  agent('endless', { execute: () => new Promise(() => {}) }),
];

const stage = (name, agents, more = {}) => ({ name, agents, ...more });

export const WORKFLOWS = {
  seq3: [stage('one', ['a']), stage('two', ['b']), stage('three', ['c'])],
  par4: [stage('one', ['a']), stage('four', ['a', 'b', 'c', 'd'], { parallel: true }), stage('last', ['b'])],
  saga: [
    stage('one', ['a'], { compensation_agents: ['a'] }),
    stage('two', ['b'], { compensation_agents: ['b'] }),
    stage('three', ['broken']),
  ],
  lettered: [stage('one', ['a'], { compensation_agents: ['broken'] }), stage('two', ['broken'])],
  active: [stage('one', ['endless'])],
  waiting: [stage('one', ['a'], { approval_required: true })],
};

export const ENDS = { seq3: 'completed', par4: 'completed', saga: 'failed' };

/** An engine over a store of its own, in the directory `at`. */
export function open(at) {
  const text = `[engine]\nstore = "rocksdb://${at}/data"\nmax_parallel_tasks = 100000\n`;
  const config = parseConfig(text, { file: `${at}/workflows.toml` }, {});
  const templates = new Map(
    Object.entries(WORKFLOWS).map(([name, stages]) => [
      name,
      defineWorkflow({ name, trigger: 'manual', stages }, config.engine),
    ]),
  );
  return openEngine({ ...config, templates }, { agents: AGENTS, logger: pino({ level: 'silent' }) });
}

export const INITIATOR = { user: 'bench', groups: [] };

const FILLING = 64;

/** Starts so many instances, and goes on once each start is on disk. */
export async function fill(engine, workflow, count) {
  let started = 0;
  const line = async () => {
    while (started < count) {
      started += 1;
      await engine.api.start({ workflow, input: { n: 1 }, initiator: INITIATOR });
    }
  };
  await Promise.all(Array.from({ length: FILLING }, line));
}

export function machine() {
  const [first] = cpus();
  return `${cpus().length} cores, ${first?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`;
}

export function median(values) {
  return percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

export function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function peakMemoryMb() {
  return process.resourceUsage().maxRSS / 1024;
}
