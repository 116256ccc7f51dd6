/** What has ended leaves its state to its history. */
import { expect, it } from 'vitest';
import { asInstanceId } from '../../core/names.js';
import type { StoredInstance } from '../../core/ports.js';
import { collect, completion, creation, deadLettered, note, TEMPLATE, testClock } from '../fixtures.suite.js';
import { openDatabase } from './connection.js';
import type { Database } from './database.js';
import { SurrealWorkflowStore } from './store.js';

const clock = testClock();
const LONG = 65;

async function open(): Promise<{ db: Database; store: SurrealWorkflowStore }> {
  // a later store takes it over: what this one does to close must not end it
  const db = { ...(await openDatabase('mem://', clock)), close: async () => undefined };
  const store = await SurrealWorkflowStore.over(db, { clock });
  await store.saveTemplate(TEMPLATE);
  return { db, store };
}

async function stateOf(db: Database, name: string): Promise<unknown> {
  const [rows] = await db.run('SELECT VALUE state FROM type::record("workflow_instances", $name)', { name });
  return (rows as readonly unknown[])[0];
}

it('keeps the state of what goes on, waits for an operator or has a long history, and no other', async () => {
  const { db, store } = await open();
  const live = await store.save(creation('live'));
  await store.save(deadLettered(await store.save(creation('lettered'))));
  let long = await store.save(creation('long'));
  while (long.instance.revision < LONG - 1) long = await store.save(note(long));
  await store.save(completion(long));
  await store.save(completion(await store.save(creation('short'))));
  await store.writeOut();
  for (const name of ['live', 'lettered', 'long']) expect(await stateOf(db, name)).toBeTypeOf('string');
  expect(await stateOf(db, 'short')).toBeUndefined();
  // a row that had a state loses it with its end
  const over = await store.save(completion(live));
  await store.writeOut();
  expect(await stateOf(db, 'live')).toBeUndefined();
  expect(await store.load(live.instance.id)).toEqual(over);
});

it('replays what the journal adds to an instance whose state is in its history', async () => {
  const { db, store } = await open();
  const over = await store.save(completion(await store.save(creation('over'))));
  const still = await store.save(completion(await store.save(creation('still'))));
  await store.writeOut();
  const noted = await store.save(note(over));
  const next = await SurrealWorkflowStore.over(db, { clock });
  expect(await next.load(over.instance.id)).toEqual(noted);
  expect(await next.load(still.instance.id)).toEqual(still);
  expect(await collect(next.history(over.instance.id))).toHaveLength(3);
});

it('reads the states that an earlier version has kept beside the histories', async () => {
  const { db, store } = await open();
  const over = await store.save(completion(await store.save(creation('over'))));
  await store.writeOut();
  const state = JSON.stringify(over.instance);
  await db.run('UPDATE workflow_instances SET state = $state; UPDATE workflow_history SET entries = ""', {
    state,
  });
  expect(await store.load(over.instance.id)).toEqual(over);
});

const DAMAGES: readonly (readonly [string, string])[] = [
  [
    'altered',
    'UPDATE workflow_history SET entries = string::replace(entries, "workflow_started", "workflow_failed")',
  ],
  ['cut off', 'UPDATE workflow_history SET entries = string::split(entries, "\n")[0]'],
  ['no JSON any more', 'UPDATE workflow_history SET entries = string::slice(entries, 0, 40)'],
  ['gone', 'DELETE workflow_history'],
  ['one of another state', 'UPDATE workflow_instances SET head = string::repeat("0", 64)'],
];

it.each(DAMAGES)(
  'shows no state of an instance whose history is %s, and all that does not need it',
  async (_, damage) => {
    const { db, store } = await open();
    const over: StoredInstance = await store.save(completion(await store.save(creation('over'))));
    await store.writeOut();
    await db.run(damage);
    const { id, revision } = over.instance;
    await expect(store.load(id)).rejects.toMatchObject({ code: 'audit_broken' });
    expect(await store.summary(id)).toMatchObject({ revision, isLive: false });
    expect((await store.list({ limit: 10 })).items.map((item) => item.id)).toEqual([id]);
    const fresh = await store.save(creation('fresh'));
    expect(await store.load(fresh.instance.id)).toEqual(fresh);
    if (damage.includes('head')) return;
    await store.delete(asInstanceId('over'));
    expect(await store.load(id)).toBeNull();
  },
);

it('passes over no instance that goes on and whose state is gone', async () => {
  const { db, store } = await open();
  await store.save(creation('on'));
  await store.writeOut();
  await db.run('UPDATE workflow_instances SET state = NONE');
  const next = await SurrealWorkflowStore.over(db, { clock });
  await expect(collect(next.loadActive(-1, Number.MAX_SAFE_INTEGER - 1))).rejects.toMatchObject({
    code: 'store_unreadable',
  });
});
