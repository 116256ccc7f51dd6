// `node bench/cost.mjs [--up-to 1000000] [--seconds 3] [--json FILE]`: whether work costs more the more instances are stored. One engine, whose
// store is filled to 1,000, 10,000 and so on; at each size it runs `seq3` at 64 for a while, and lists as an operator would.
import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { diskBytes, makeDirectory } from './disk.mjs';
import { fill, INITIATOR, machine, open, percentile } from './workload.mjs';

const { values } = parseArgs({
  options: {
    'up-to': { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});
const upTo = Number(values['up-to']);
const seconds = Number(values.seconds);
const IN_FLIGHT = 64;
const PAGES = 50;
const LABELS = { team: 'bench' };

const at = await makeDirectory();
const engine = await open(at);
await work(seconds);
const figures = [];
for (let size = 1_000; size <= upTo; size *= 10) {
  const stored = () => engine.store.statistics().instances;
  await fill(engine, 'waiting', size - stored());
  await engine.store.writeOut();
  process.stderr.write(`${stored()} instances …\n`);
  const before = engine.store.statistics();
  const { workflows, ms } = await work(seconds);
  await engine.store.writeOut();
  const after = engine.store.statistics();
  figures.push({
    instances: size,
    microsPerWorkflow: (ms * 1_000) / workflows,
    microsPerCommit: (ms * 1_000) / (after.commits - before.commits),
    lists: {
      newest: await pages({}),
      waiting: await pages({ status: 'waiting_approval' }),
      completed: await pages({ status: 'completed' }),
      template: await pages({ template: 'seq3' }),
      label: await pages({ labels: ['team=bench'] }),
    },
    memoryMb: process.memoryUsage.rss() / 2 ** 20,
    diskBytesPerInstance: (await diskBytes(at)) / stored(),
  });
}
await engine.close();

const table = new Table({
  style: { head: [], border: [] },
  head: [
    'instances',
    'µs/seq3',
    'µs/commit',
    ...Object.keys(figures[0].lists).map((list) => `list ${list} p99 ms`),
    'MB',
    'B disk',
  ],
  colAligns: Array.from({ length: 10 }, () => 'right'),
});
for (const row of figures) {
  const lists = Object.values(row.lists).map(({ p99 }) => p99.toFixed(1));
  const [workflow, commit, memory, disk] = [
    row.microsPerWorkflow,
    row.microsPerCommit,
    row.memoryMb,
    row.diskBytesPerInstance,
  ];
  table.push([
    row.instances,
    workflow.toFixed(0),
    commit.toFixed(0),
    ...lists,
    memory.toFixed(0),
    disk.toFixed(0),
  ]);
}
process.stdout.write(`${machine()}\n${table}\n`);
if (values.json)
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine: machine(), at: new Date().toISOString(), figures }, null, 2)}\n`,
  );
await rm(at, { recursive: true, force: true });
process.exit(0);

async function work(howLong) {
  const began = performance.now();
  let workflows = 0;
  const line = async () => {
    while (performance.now() - began < howLong * 1_000) {
      const { id } = await engine.api.start({
        workflow: 'seq3',
        input: { n: 1 },
        initiator: INITIATOR,
        labels: LABELS,
      });
      await engine.api.untilRest(id);
      workflows += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, line));
  return { workflows, ms: performance.now() - began };
}

/** Time of a page of 50, over so many pages one after the other from the newest. */
async function pages(query) {
  const times = [];
  let cursor;
  for (let page = 0; page < PAGES; page += 1) {
    const began = performance.now();
    const { next } = await engine.store.list({
      ...query,
      limit: 50,
      ...(cursor === undefined ? {} : { cursor }),
    });
    times.push(performance.now() - began);
    cursor = next ?? undefined;
  }
  times.sort((a, b) => a - b);
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
