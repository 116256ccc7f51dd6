/** The database is asked how it would carry out what lists and sweeps ask it: none of it may go through a whole table. */
import type { RecordIdRange } from 'surrealdb';
import { expect, it } from 'vitest';
import { asInstanceId } from '../../core/names.js';
import type { InstancePage, InstanceQuery } from '../../core/ports.js';
import { collect, creation, note, testClock } from '../fixtures.suite.js';
import { openDatabase } from './connection.js';
import type { Database } from './database.js';
import { HISTORY_ROW_ENTRIES } from './projection.js';
import { SurrealWorkflowStore } from './store.js';

const LISTS: readonly Omit<InstanceQuery, 'limit'>[] = [
  {},
  { status: 'completed' },
  { template: 'release' },
  { template: 'release', status: 'active' },
  { initiator: 'ann' },
  { labels: ['env=prod'] },
  { withDeadLetters: true },
  { createdFrom: 1, createdBefore: 9_000_000_000_000 },
];

const BY_INDEX_OR_ID = /"operator":"(IndexScan|RecordIdScan|SourceExpr)"/;

async function plansOf(work: (store: SurrealWorkflowStore) => Promise<unknown>): Promise<string[]> {
  const clock = testClock();
  const db = await openDatabase('mem://', clock);
  const asked: { text: string; values: Record<string, unknown> }[] = [];
  const listened: Database = {
    ...db,
    run: (statements, values = {}) => {
      asked.push(...statements.split(';').map((text) => ({ text: text.trim(), values })));
      return db.run(statements, values);
    },
  };
  const store = await SurrealWorkflowStore.over(listened, { clock });
  await store.save(creation('one'));
  await store.writeOut();
  asked.length = 0;
  await work(store);
  const reads = asked.filter(({ text }) => text.startsWith('SELECT'));
  const plans = await Promise.all(reads.map(({ text, values }) => db.run(`${text} EXPLAIN`, values)));
  await store.close();
  return plans.map((plan) => JSON.stringify(plan));
}

it.each(LISTS)('reads %j from an index or a range of ids', async (query) => {
  const plans = await plansOf(async (store) => store.list({ ...query, limit: 10 }));
  expect(plans.length).toBeGreaterThan(0);
  for (const plan of plans) expect(plan).toMatch(BY_INDEX_OR_ID);
});

it('looks at so many rows for a page and no more, where two filters are wide and nothing passes both', async () => {
  const clock = testClock();
  const db = await openDatabase('mem://', clock);
  let rows = 0;
  const counted: Database = {
    ...db,
    run: async (statements, values) => {
      const results = await db.run(statements, values);
      rows += results.flat().length;
      return results;
    },
  };
  const store = await SurrealWorkflowStore.over(counted, { clock });
  await Promise.all(
    Array.from({ length: 3_000 }, (_, n) => {
      const half = n % 2 === 0 ? 'even' : 'odd';
      // in the newer part an index is skipped through, in the older one both have to be read
      const label = n < 1_500 ? half : 'none';
      return store.save(creation(`n-${n}`, { at: (n + 2) * 20, template: half, labels: [['half', label]] }));
    }),
  );
  await store.save(creation('both', { at: 1, template: 'odd', labels: [['half', 'even']] }));
  await store.writeOut();
  const query = { template: 'odd', labels: ['half=even'], limit: 10 };
  const found: string[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    rows = 0;
    const page: InstancePage = await store.list({ ...query, ...(cursor === null ? {} : { cursor }) });
    expect(rows).toBeLessThan(2_000);
    found.push(...page.items.map(({ id }) => id));
    pages += 1;
    cursor = page.next;
  } while (cursor !== null);
  expect(found).toEqual(['both']);
  expect(pages).toBeGreaterThan(1);
  expect(pages).toBeLessThan(10);
  await store.close();
});

it('reads what is due, what has changed and what has ended from an index', async () => {
  const plans = await plansOf(async (store) => {
    for await (const _ of store.loadActive(-1, 9_000_000_000_000));
    await store.nextWakeAt(0);
    for await (const _ of store.changedSince(0));
    await store.ended({ from: 0, before: 9_000_000_000_000, limit: 10 });
  });
  expect(plans.length).toBeGreaterThanOrEqual(4);
  for (const plan of plans) expect(plan).toMatch(BY_INDEX_OR_ID);
});

it('gives each range of ids that it reads a page of an end, because the database reads it to the end', async () => {
  const clock = testClock();
  const db = await openDatabase('mem://', clock);
  const pages: RecordIdRange[] = [];
  const listened: Database = {
    ...db,
    run: (statements, values = {}) => {
      if (/FROM \$range.* LIMIT/.test(statements)) pages.push(values.range as RecordIdRange);
      return db.run(statements, values);
    },
  };
  const store = await SurrealWorkflowStore.over(listened, { clock });
  let stored = await store.save(creation('long'));
  for (let revision = 2; revision <= 600; revision += 1) {
    stored = await store.save(note(stored));
    if (revision % 5 === 0) await store.writeOut();
  }
  const entries = await collect(store.history(stored.instance.id));
  expect(entries.map(({ revision }) => revision)).toEqual([...Array(600).keys()].map((index) => index + 1));
  expect((await collect(store.history(stored.instance.id, 590))).map(({ revision }) => revision)).toEqual([
    591, 592, 593, 594, 595, 596, 597, 598, 599, 600,
  ]);
  expect(pages.length).toBeGreaterThan(8);
  for (const range of pages) {
    const [first, last] = [...String(range).matchAll(/, (\d+)\s*\]/g)].map(([, revision]) =>
      Number(revision),
    );
    expect(Number(last) - Number(first)).toBeLessThan(HISTORY_ROW_ENTRIES);
  }
  await store.close();
});

it('would see a walk through the whole table', async () => {
  const db = await openDatabase('mem://', testClock());
  const store = await SurrealWorkflowStore.over(db, { clock: testClock() });
  const [plan] = await db.run('SELECT * FROM workflow_instances WHERE revision = 3 EXPLAIN');
  expect(JSON.stringify(plan)).not.toMatch(BY_INDEX_OR_ID);
  await store.close();
});

it('reads hardly a row for a page of what has just changed, and writes none for a history', async () => {
  const clock = testClock();
  const db = await openDatabase('mem://', clock);
  let rows = 0;
  const listened: Database = {
    ...db,
    run: async (statements, values = {}) => {
      const results = await db.run(statements, values);
      if (statements.startsWith('SELECT')) rows += results.flat().length;
      return results;
    },
  };
  const store = await SurrealWorkflowStore.over(listened, { clock });
  const made = [];
  for (let n = 0; n < 300; n += 1) made.push(await store.save(creation(`busy-${n}`, { at: n })));
  await store.writeOut();
  for (const stored of made.slice(100)) await store.save(note(stored));
  const { projections } = store.statistics();
  rows = 0;
  const page = await store.list({ limit: 20 });
  expect(page.items.map(({ createdAt }) => createdAt)).toEqual([...Array(20).keys()].map((n) => 299 - n));
  expect(rows).toBeLessThanOrEqual(21);
  expect(await collect(store.history(page.items[0]?.id ?? asInstanceId('none')))).toHaveLength(2);
  expect(store.statistics().projections).toBe(projections);
});
