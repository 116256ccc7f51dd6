// `node bench/lists.mjs [--instances 1000000] [--requests 40] [--store DIRECTORY] [--json FILE]`: lists over HTTP on so many instances, with
// each filter, as an operator who may see all and as people whose policies show them little or nothing. DIRECTORY is filled where it is
// not yet, and stays; without it everything is removed afterwards. Beside the time, the server's own processor time is given, which says more
// where a machine does other things too.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { makeDirectory } from './disk.mjs';
import { machine, open, percentile } from './workload.mjs';

const { values } = parseArgs({
  options: {
    instances: { type: 'string', default: '1000000' },
    requests: { type: 'string', default: '40' },
    store: { type: 'string' },
    json: { type: 'string' },
    // in a process of its own: the embedded engine lets go of a directory with the process only
    fill: { type: 'boolean', default: false },
  },
});
const instances = Number(values.instances);
const requests = Number(values.requests);
const VAPORA = fileURLToPath(new URL('../bin/vapora', import.meta.url));
const SAVES = 512;
const SECOND = 1_000;
const BEGAN = Date.UTC(2026, 0, 1);

const POLICIES = `
@id("operators") permit (principal == User::"operator", action, resource);
@id("own") permit (principal, action == Action::"read-workflow", resource) when { context.initiator == principal };
@id("team") permit (principal == User::"lead", action == Action::"read-workflow", resource)
  when { context.labels.contains("team=t7") };
`;

const at = values.store ?? (await makeDirectory());
if (values.fill) await prepare();
else if (!existsSync(join(at, 'workflows.toml')))
  await run([...process.argv.slice(1), '--fill', '--store', at]);
const figures = await measure();
const table = new Table({
  style: { head: [], border: [] },
  head: ['list', 'p50 ms', 'p99 ms', 'max ms', 'cpu ms', 'rows a page'],
  colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
});
for (const { list, rows, ...ms } of figures) {
  const times = [ms.p50, ms.p99, ms.max, ms.cpu].map((each) => each.toFixed(1));
  table.push([list, ...times, rows.toFixed(1)]);
}
process.stdout.write(`${machine()}, ${instances} instances\n${table}\n`);
if (values.json) {
  const result = { machine: machine(), at: new Date().toISOString(), instances, figures };
  writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
}
if (values.store === undefined) await rm(at, { recursive: true, force: true });
process.exit(0);

async function prepare() {
  mkdirSync(join(at, 'policies'), { recursive: true });
  const engine = await open(at);
  await fillMixed(engine);
  await engine.store.writeOut();
  await engine.close();
  writeFileSync(join(at, 'policies', 'lists.cedar'), POLICIES);
  const config = `[engine]\nstore = "rocksdb://${at}/data"\ncedar_policy_dir = "policies"\n[[workflows]]\nname = "any"\nstages = [{ name = "a", agents = ["a"] }]\n`;
  writeFileSync(join(at, 'workflows.toml'), config);
  process.exit(0);
}

async function run(command) {
  const filling = spawn(process.execPath, command, { stdio: 'inherit' });
  const code = await new Promise((resolve) => filling.once('exit', resolve));
  if (code !== 0) throw new Error(`filling ended with ${code}`);
}

/** Real instances in each state, saved again and again under other names: what lists go by differs, and nothing else. */
async function fillMixed(engine) {
  const models = await modelsOf(engine);
  let made = 0;
  const line = async () => {
    while (made < instances) {
      const n = made;
      made += 1;
      if (made % 50_000 === 0) process.stderr.write(`${made} instances …\n`);
      const { instance, events } = models[stateOf(n)];
      const createdAt = BEGAN + n * SECOND;
      const next = {
        ...instance,
        id: `i-${String(n).padStart(8, '0')}`,
        templateName: templateOf(n),
        initiator: { user: userOf(n), groups: [] },
        labels: labelsOf(n),
        createdAt,
        updatedAt: createdAt + 1,
        endedAt: instance.endedAt === null ? null : createdAt + 1,
        revision: 1,
        seq: events.length,
      };
      await engine.store.save({ previous: null, next, at: createdAt, events });
    }
  };
  await Promise.all(Array.from({ length: SAVES }, line));
}

async function modelsOf(engine) {
  const models = {};
  for (const [state, workflow] of [
    ['completed', 'seq3'],
    ['failed', 'saga'],
    ['waiting', 'waiting'],
    ['lettered', 'lettered'],
  ]) {
    const { id } = await engine.api.start({ workflow, initiator: { user: 'bench', groups: [] } });
    const instance = await engine.api.untilRest(id);
    const events = [];
    for await (const entry of engine.store.history(id)) events.push(...entry.events);
    models[state] = { instance, events: events.slice(0, 3) };
  }
  return models;
}

// 90 % completed, 5 % waiting, 5 % failed, one in a thousand with a dead letter
function stateOf(n) {
  if (n % 1_000 === 999) return 'lettered';
  if (n % 20 === 0) return 'waiting';
  return n % 20 === 1 ? 'failed' : 'completed';
}

/** Half each, and one that was used for the oldest thousandth alone. */
function templateOf(n) {
  if (n < instances / 1_000) return 'old';
  return n % 2 === 0 ? 'even' : 'odd';
}

function userOf(n) {
  return n > 0 && n % Math.floor(instances / 20) === 0 ? 'seldom' : `user-${n % 97}`;
}

/** `half=even` never goes with the template `odd`: nothing is found, and neither index tells. */
function labelsOf(n) {
  return [
    ['half', n % 2 === 0 ? 'even' : 'odd'],
    ['team', `t${n % 10}`],
  ];
}

async function measure() {
  const server = spawn(process.execPath, [VAPORA, 'serve', '--port', '0', '--json'], {
    cwd: at,
    env: { ...process.env, VAPORA_LOG: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const url = await new Promise((resolve, reject) => {
      server.stdout.once('data', (line) => {
        const { url } = JSON.parse(String(line));
        if (url !== undefined) resolve(url);
      });
      server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const all = [];
    for (const [user, query] of questions()) all.push(await pages({ url, pid: server.pid }, user, query));
    return all;
  } finally {
    server.kill('SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
  }
}

function questions() {
  const time = (share) => new Date(BEGAN + Math.floor(instances * share) * SECOND).toISOString();
  const filters = [
    '',
    'state=completed',
    'state=waiting_approval',
    'state=failed',
    'state=blocked',
    'workflow=even',
    'workflow=old',
    'workflow=nothing',
    'label=team=t7',
    'label=team=nothing',
    'initiator=user-5',
    'initiator=seldom',
    'dead_letters=true',
    `created_before=${time(0.5)}`,
    `created_from=${time(0.4)}&created_before=${time(0.5)}`,
    'state=failed&workflow=odd',
    'state=failed&label=team=t7',
    'state=failed&label=team=t1',
    'workflow=odd&label=half=even',
    'workflow=old&label=half=even',
    'label=half=even&label=team=t7',
    'state=completed&label=half=even&initiator=seldom',
    'initiator=user-5&label=team=t7&state=waiting_approval',
    'dead_letters=true&workflow=even',
    `workflow=odd&label=half=even&created_before=${time(0.5)}`,
  ];
  return [
    ...filters.map((filter) => ['operator', filter]),
    ['lead', ''],
    ['lead', 'state=waiting_approval'],
    ['seldom', ''],
    ['seldom', 'workflow=even'],
    ['nobody', ''],
    ['nobody', 'label=half=even&limit=200'],
  ];
}

/** So many pages, one after the other from the newest, and from there anew where they come to an end. */
async function pages({ url, pid }, user, query) {
  const before = processorMs(pid);
  const times = [];
  let rows = 0;
  let cursor = null;
  for (let asked = 0; asked < requests; asked += 1) {
    const began = performance.now();
    const answer = await fetch(
      `${url}/api/v1/instances?${query}${cursor === null ? '' : `&cursor=${cursor}`}`,
      { headers: { 'vapora-user': user } },
    );
    const page = await answer.json();
    times.push(performance.now() - began);
    if (!answer.ok) throw new Error(`${query}: ${JSON.stringify(page)}`);
    rows += page.instances.length;
    cursor = page.next;
  }
  times.sort((a, b) => a - b);
  const list = `${user === 'operator' ? '' : `${user}: `}${query === '' ? 'all' : query}`;
  const [p50, p99, max] = [percentile(times, 0.5), percentile(times, 0.99), times.at(-1)];
  const cpu = (processorMs(pid) - before) / requests;
  return { list, p50, p99, max, cpu, rows: rows / requests };
}

/** User and system time, in the 10 ms that Linux counts them in. */
function processorMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
