// One store that is filled further and further: what work costs in it that has nothing to do with those stored.
import { rm } from 'node:fs/promises';
import { makeDirectory } from '../disk.mjs';
import { fill, open } from '../workload.mjs';
import { runMany } from './engine.mjs';
import { costOf } from './fit.mjs';

export const curve = {
  name: 'instances',
  x: 'instances stored',
  series: {
    commit: 'a commit of seq3, written out',
    page: 'a page of 50, newest first',
    filtered: 'a page of 50 that wait for an approval',
    load: 'loading one of them',
  },
  dominant:
    'A commit costs what its own rows cost (encoding, hashing, RocksDB); a page reads its 50 rows in the order of an index, and a load one row by its key.',
  sizes: [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000],
  quick: [10, 20],
};

const WORKFLOWS = 200;
const PAGES = 20;
const LOADS = 200;

export async function* measure(sizes, effort) {
  const at = await makeDirectory();
  const engine = await open(at);
  const count = Math.ceil(WORKFLOWS * effort);
  await runMany(engine, 'seq3', count, 16);
  let waiting = 0;
  for (const size of sizes) {
    await fill(engine, 'waiting', size - waiting);
    waiting = size;
    await engine.store.writeOut();
    await runMany(engine, 'seq3', count, 16);
    const before = engine.store.statistics().commits;
    const workflow = await costOf(3, count, () => runMany(engine, 'seq3', count, 16));
    const commits = (engine.store.statistics().commits - before) / (3 * count);
    const { items } = await engine.store.list({ status: 'waiting_approval', limit: LOADS });
    yield {
      x: size,
      commit: workflow / commits,
      page: await costOf(5, PAGES, () => pages(engine, {})),
      filtered: await costOf(5, PAGES, () => pages(engine, { status: 'waiting_approval' })),
      load: await costOf(5, items.length, async () => {
        for (const { id } of items) await engine.store.load(id);
      }),
    };
  }
  await engine.close();
  await rm(at, { recursive: true, force: true });
}

async function pages(engine, query) {
  let cursor;
  for (let page = 0; page < PAGES; page += 1) {
    const { next } = await engine.store.list({ ...query, limit: 50, ...(cursor && { cursor }) });
    cursor = next ?? undefined;
  }
}
