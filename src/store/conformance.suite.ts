/** What every `WorkflowStore` must do. A store's test file calls this with a way to open an empty one. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLive } from '../core/instance.js';
import { asDigest, asInstanceId } from '../core/names.js';
import type { StoredInstance, WorkflowStore } from '../core/ports.js';
import { CHAIN_START, verifyChain } from './chain.js';
import {
  collect,
  commit,
  completion,
  creation,
  note,
  TEMPLATE,
  waiting,
  writeOut,
} from './fixtures.suite.js';
import { describeLists } from './lists.suite.js';

export interface StoreUnderTest {
  readonly store: WorkflowStore;
  /** Closes the store and opens the same data again. */
  reopen(): Promise<WorkflowStore>;
  dispose(): Promise<void>;
}

export function describeWorkflowStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name}: a workflow store`, () => {
    let under: StoreUnderTest;
    let store: WorkflowStore;
    beforeAll(async () => {
      under = await open();
      store = under.store;
      await store.saveTemplate(TEMPLATE);
    });
    afterAll(() => under.dispose());
    const current = (): WorkflowStore => store;
    describeSaves(current);
    describeHistory(current);
    describeLists(current);
    describeBounds(current);
    describeContent(current);

    it('keeps what commits charge, by the hour, with the commit or not at all', async () => {
      const charge = (hour: number, workflow: string, tokens: number) => ({
        hour,
        workflow,
        spent: { tokens, microUsd: 2 * tokens, ms: 3 * tokens },
      });
      const saving = [
        charge(HOUR, 'a', 1),
        charge(HOUR, 'a', 4),
        charge(2 * HOUR, 'a', 16),
        charge(HOUR, 'b', 64),
      ];
      // together, so that some share a transaction
      await Promise.all(saving.map((each, n) => store.save({ ...creation(`charged-${n}`), charge: each })));
      const refused = store.save({ ...creation('charged-1'), charge: charge(HOUR, 'a', 256) });
      await expect(refused).rejects.toMatchObject({ code: 'instance_exists' });
      const ended = await store.save(completion(await store.save(creation('charged-gone'))));
      await store.delete(ended.instance.id);
      store = await under.reopen();
      const sorted = async (since: number) =>
        [...(await store.charges(since))].sort((a, b) => a.spent.tokens - b.spent.tokens);
      const all = [charge(HOUR, 'a', 5), charge(2 * HOUR, 'a', 16), charge(HOUR, 'b', 64)];
      expect(await sorted(0)).toEqual(all);
      expect(await sorted(2 * HOUR)).toEqual(all.slice(1, 2));
    });

    it('finds everything again after it was closed, whether written out or not', async () => {
      const saved: StoredInstance[] = [];
      for (let n = 0; n < 20; n += 1) {
        const made = await store.save(creation(`again-${n}`));
        saved.push(await store.save(n % 2 === 0 ? note(made) : completion(made)));
      }
      const gone = await store.save(completion(await store.save(creation('again-gone'))));
      await store.delete(gone.instance.id);
      store = await under.reopen();
      for (const one of saved) expect(await store.load(one.instance.id)).toEqual(one);
      expect(await store.load(gone.instance.id)).toBeNull();
      const [first] = saved;
      if (first !== undefined) expect((await store.save(note(first))).instance.revision).toBe(3);
      await expect(store.save(creation('again-1'))).rejects.toMatchObject({ code: 'instance_exists' });
    });

    it('closes twice without complaint, and refuses what comes after', async () => {
      await store.close();
      await store.close();
      await expect(store.load(asInstanceId('a'))).rejects.toMatchObject({ code: 'store_failed' });
      await expect(store.save(creation('late'))).rejects.toMatchObject({ code: 'store_failed' });
    });
  });
}

const HOUR = 3_600_000;
const ODD_NAMES = [
  '__proto__',
  'constructor',
  'toString',
  '0',
  '-1',
  'деплой',
  '日本',
  'a.b-c_d',
  'NONE',
  'true',
];

function describeSaves(current: () => WorkflowStore): void {
  it('answers what it saved', async () => {
    const saved = await current().save(creation('round', { labels: [['k', 'v']] }));
    expect(saved.head).toMatch(/^[0-9a-f]{64}$/);
    expect(await current().load(saved.instance.id)).toEqual(saved);
    expect(await current().load(asInstanceId('nobody'))).toBeNull();
  });

  it('answers the same of an ended instance, and what is known of it without its state, written out or not', async () => {
    const live = await current().save(creation('over', { labels: [['k', 'v']] }));
    const over = await current().save(completion(live));
    const { id, revision } = over.instance;
    const look = async () => [await current().load(id), await current().summary(id)];
    const before = await look();
    expect(before[0]).toEqual(over);
    expect(before[1]).toMatchObject({ revision, head: over.head, isLive: false, summary: { id } });
    await writeOut(current());
    expect(await look()).toEqual(before);
    const noted = await current().save(note(over));
    await writeOut(current());
    expect(await current().load(id)).toEqual(noted);
    expect(await current().summary(asInstanceId('nobody'))).toBeNull();
  });

  it.each(ODD_NAMES)('keeps an instance named %s apart from all others', async (name) => {
    const saved = await current().save(
      creation(name, { user: `${name}'; DELETE workflow_instances; --⟩\`\0` }),
    );
    const more = await current().save(note(saved, '⟨`"\'\\\ud800\0'));
    const page = await current().list({ limit: 1_000 });
    expect(page.items.find((item) => item.id === name)?.initiator).toBe(saved.instance.initiator.user);
    expect(await current().load(asInstanceId(name))).toEqual(more);
    expect((await collect(current().history(asInstanceId(name)))).length).toBe(2);
  });

  it('refuses an id that is taken, and a commit that is not based on the current state', async () => {
    const first = await current().save(creation('guard'));
    await expect(current().save(creation('guard'))).rejects.toMatchObject({ code: 'instance_exists' });
    const second = await current().save(note(first));
    await expect(current().save(note(first))).rejects.toMatchObject({ code: 'revision_conflict' });
    const forged = { ...second, head: CHAIN_START };
    await expect(current().save(note(forged))).rejects.toMatchObject({ code: 'revision_conflict' });
    expect(await current().load(first.instance.id)).toEqual(second);
    const unsaved = { instance: creation('never-saved').next, head: CHAIN_START };
    await expect(current().save(note(unsaved))).rejects.toMatchObject({ code: 'revision_conflict' });
  });

  it('takes many saves at once, each succeeding or failing alone', async () => {
    const based = await current().save(creation('crowd-0'));
    const made = Array.from({ length: 300 }, (_, n) => current().save(creation(`crowd-${n}`)));
    const rivals = Array.from({ length: 5 }, (_, n) => current().save(note(based, `rival ${n}`)));
    const results = await Promise.allSettled([...made, ...rivals]);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(5);
    expect(results[0]).toMatchObject({ status: 'rejected', reason: { code: 'instance_exists' } });
    const won = (await Promise.allSettled(rivals)).flatMap((r) =>
      r.status === 'fulfilled' ? [r.value] : [],
    );
    expect(won).toHaveLength(1);
    expect(await current().load(based.instance.id)).toEqual(won[0]);
    expect(await current().load(asInstanceId('crowd-299'))).not.toBeNull();
  });

  it('deletes an ended instance with its history, after which its id is free', async () => {
    const live = await current().save(creation('delete'));
    await expect(current().delete(live.instance.id)).rejects.toThrow();
    await current().save(completion(live));
    await current().delete(live.instance.id);
    await current().delete(live.instance.id);
    expect(await current().load(live.instance.id)).toBeNull();
    expect(await collect(current().history(live.instance.id))).toEqual([]);
    expect((await current().list({ limit: 1_000 })).items.some(({ id }) => id === 'delete')).toBe(false);
    const anew = await current().save(creation('delete'));
    await current().save(completion(anew));
    expect(await collect(current().history(live.instance.id))).toHaveLength(2);
  });

  it.each([false, true])(
    'shows nothing of who had the id before, written out (%s) or not',
    async (isWrittenOut) => {
      const id = `heir-${isWrittenOut}`;
      const before = await current().save(
        completion(await current().save(note(await current().save(creation(id))))),
      );
      if (isWrittenOut) await writeOut(current());
      await current().delete(before.instance.id);
      expect(await collect(current().history(before.instance.id))).toEqual([]);
      const heir = await current().save(note(await current().save(creation(id, { user: 'heir' }))));
      const head = { revision: heir.instance.revision, hash: heir.head };
      const look = () => verifyChain(current().history(heir.instance.id), heir.instance.id, head);
      expect(await look()).toMatchObject({ entries: 2, broken: null });
      await writeOut(current());
      expect(await look()).toMatchObject({ entries: 2, broken: null });
    },
  );
}

function describeHistory(current: () => WorkflowStore): void {
  it('answers it whole at any time, however much of it is written out', async () => {
    let last = await current().save(creation('piecemeal'));
    const { id } = last.instance;
    for (let revision = 2; revision <= 60; revision += 1) {
      last = await current().save(note(last));
      if (revision % 17 === 0) await writeOut(current());
      for (const after of [0, 16, 17, 18, revision - 1]) {
        const found = (await collect(current().history(id, after))).map((entry) => entry.revision);
        expect(found).toEqual(Array.from({ length: Math.max(0, revision - after) }, (_, n) => after + 1 + n));
      }
    }
    // what is written out while it is read is in it once
    const reading = current().history(id)[Symbol.asyncIterator]();
    const first = await reading.next();
    await writeOut(current());
    const found = [first.value?.revision];
    for (let next = await reading.next(); next.done !== true; next = await reading.next())
      found.push(next.value.revision);
    expect(found).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
  });

  it('answers the history in order, byte for byte, and from any revision on', async () => {
    let last = await current().save(creation('long'));
    const at = last.instance.id;
    for (let n = 0; n < 10; n += 1) last = await current().save(note(last, `a${n}`));
    expect((await collect(current().history(at))).map(({ revision }) => revision)).toEqual(
      Array.from({ length: 11 }, (_, n) => n + 1),
    );
    for (let n = 0; n < 590; n += 1) last = await current().save(note(last, `⟨ü\u0000 ${n}⟩`));
    const all = await collect(current().history(at));
    expect(all.map(({ revision }) => revision)).toEqual(Array.from({ length: 601 }, (_, n) => n + 1));
    expect(all[400]?.events[0]).toMatchObject({ action: '⟨ü\u0000 389⟩' });
    for (const after of [1, 10, 11, 255, 256, 300, 600, 601, 9_999]) {
      const rest = (await collect(current().history(at, after))).map(({ revision }) => revision);
      expect(rest).toEqual(all.map(({ revision }) => revision).filter((revision) => revision > after));
    }
    const head = { revision: last.instance.revision, hash: last.head };
    expect(await verifyChain(current().history(at), at, head)).toEqual({
      entries: 601,
      events: 602,
      broken: null,
    });
  });

  it('keeps a commit of 2,000 events whole', async () => {
    const made = await current().save(creation('bulky'));
    const [event] = note(made, 'y'.repeat(200)).events;
    const events = event === undefined ? [] : Array.from({ length: 2_000 }, () => event);
    const saved = await current().save(commit(made.instance.id, made, 5, events));
    const [, entry] = await collect(current().history(made.instance.id));
    expect(entry?.events).toEqual(events);
    expect(entry?.firstSeq).toBe(3);
    expect(saved.instance.seq).toBe(2_002);
  });
}

function describeBounds(current: () => WorkflowStore): void {
  it.each(['', 'x', 'bnVsbA', Buffer.from('[1]').toString('base64url')])(
    'refuses the cursor `%s`',
    async (cursor) => {
      await expect(current().list({ limit: 1, cursor })).rejects.toMatchObject({ code: 'input_invalid' });
    },
  );

  it.each([0, 1_001, 1.5, Number.NaN])('refuses the limit %s', async (limit) => {
    await expect(current().list({ limit })).rejects.toMatchObject({ code: 'input_invalid' });
  });

  it('tells what has changed since a moment, written out or not, ended or not', async () => {
    const at = 5_000_000_000_000;
    await current().save(creation('unchanged', { at: at - 1 }));
    const changed = await current().save(creation('changed', { at: at - 1 }));
    await current().save(note(changed));
    await current().save(completion(await current().save(creation('changed-ended', { at }))));
    const gone = await current().save(completion(await current().save(creation('changed-gone', { at }))));
    await current().delete(gone.instance.id);
    const found = (await collect(current().changedSince(at))).flat();
    expect(found.toSorted()).toEqual(['changed', 'changed-ended']);
    expect(await collect(current().changedSince(at * 2))).toEqual([]);
  });

  it('loads every instance that something goes on in, newest state first of all, and no ended one', async () => {
    const live = await Promise.all(
      Array.from({ length: 1_200 }, (_, n) => current().save(creation(`live-${n}`))),
    );
    const [first, second] = live;
    if (first === undefined || second === undefined) throw new Error('nothing was saved');
    const changed = await current().save(note(first));
    await current().save(completion(second));
    const found = new Map(
      (await collect(current().loadActive(-1, 0))).flat().map((one) => [one.instance.id, one]),
    );
    for (const one of live.slice(2)) expect(found.get(one.instance.id)).toEqual(one);
    expect(found.get(first.instance.id)).toEqual(changed);
    expect(found.has(second.instance.id)).toBe(false);
    expect([...found.values()].every(({ instance }) => isLive(instance))).toBe(true);
  });

  it('loads what waits by when it is due, and tells when the next is', async () => {
    const sleep = async (id: string, deadlineAt?: number) => {
      const made = await current().save(creation(id, deadlineAt === undefined ? {} : { deadlineAt }));
      return current().save(waiting(made));
    };
    // far from all that other tests make
    const base = 8e14;
    for (const id of ['wake-3', 'wake-1', 'wake-2']) await sleep(id, base + Number(id.slice(-1)) * 1_000);
    await sleep('wake-never');
    const ended = await sleep('wake-ended', base + 1_500);
    const resumed = await sleep('wake-moved', base + 1_600);
    const idsOf = async (after: number, until: number) =>
      (await collect(current().loadActive(after, until)))
        .flat()
        .map(({ instance }) => instance.id)
        .sort();
    expect(await idsOf(base + 1_000, base + 2_000)).toEqual(['wake-2', 'wake-ended', 'wake-moved']);
    await current().save(
      commit(ended.instance.id, ended, 5, [
        { type: 'workflow_resumed', deadlineAt: null },
        { type: 'workflow_completed' },
      ]),
    );
    await current().save(
      commit(resumed.instance.id, resumed, 5, [{ type: 'workflow_resumed', deadlineAt: base + 1_600 }]),
    );
    expect(await idsOf(base + 1_000, base + 2_000)).toEqual(['wake-2']);
    expect(await idsOf(base, base + 3_000)).toEqual(['wake-1', 'wake-2', 'wake-3']);
    expect(await idsOf(base + 3_000, base * 2)).toEqual([]);
    expect(await current().nextWakeAt(base)).toBe(base + 1_000);
    expect(await current().nextWakeAt(base + 2_999)).toBe(base + 3_000);
    expect(await current().nextWakeAt(base + 3_000)).toBeNull();
    expect(await idsOf(-1, 0)).toContain('wake-moved');
  });
}

function describeContent(current: () => WorkflowStore): void {
  it('keeps templates by hash', async () => {
    expect(await current().loadTemplate(TEMPLATE.hash)).toEqual(TEMPLATE);
    await current().saveTemplate(TEMPLATE);
    expect(await current().loadTemplate(asDigest('00'.repeat(32)))).toBeNull();
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0, 0x80])],
    ['a chunk to the byte', Buffer.alloc(256 * 1024, 7)],
    ['5 MiB and one byte', Buffer.alloc(5 * 1024 * 1024 + 1, 'vapora')],
  ])('keeps %s as a blob, once', async (_what, bytes) => {
    const [digest, again] = await Promise.all([current().saveBlob(bytes), current().saveBlob(bytes)]);
    expect(digest).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(again).toBe(digest);
    const loaded = await current().loadBlob(digest);
    expect(Buffer.compare(Buffer.from(loaded ?? [1]), bytes)).toBe(0);
    expect(await current().loadBlob(asDigest('00'.repeat(32)))).toBeNull();
  });
}
