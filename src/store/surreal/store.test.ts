import { describe, expect, it } from 'vitest';
import type { VaporaError } from '../../core/errors.js';
import { asInstanceId } from '../../core/names.js';
import { collect, completion, creation, note, TEMPLATE, testClock } from '../fixtures.suite.js';
import { openDatabase } from './connection.js';
import type { Database } from './database.js';
import { SurrealWorkflowStore } from './store.js';
import { parseStoreUrl } from './url.js';

const clock = testClock();

/** A database whose transactions can be made to fail, as a disk or a network would make them. */
function faulty(
  db: Database,
  fault: (statements: string, run: () => Promise<unknown>) => Promise<void>,
): Database {
  return {
    ...db,
    run: async (statements, values) => {
      let result: readonly unknown[] = [];
      await fault(statements, async () => {
        result = await db.run(statements, values);
      });
      return result;
    },
    // as a server's: its answers can be lost
    isEmbedded: false,
    close: async () => undefined,
  };
}

const isCommit = (statements: string): boolean => statements.includes('INSERT INTO journal');

describe('a SurrealDB store', () => {
  it('refuses every write of a handle that another one has taken over from', async () => {
    const db = await openDatabase('mem://', clock);
    const failures: VaporaError[] = [];
    const old = await SurrealWorkflowStore.over(db, { clock, onFailure: (error) => failures.push(error) });
    await old.saveTemplate(TEMPLATE);
    const before = await old.save(creation('a'));
    const young = await SurrealWorkflowStore.over(db, { clock });
    const taken = await young.save(note(before));
    await expect(old.save(note(before))).rejects.toMatchObject({ code: 'store_fenced' });
    await expect(old.load(before.instance.id)).rejects.toMatchObject({ code: 'store_fenced' });
    expect(failures.map(({ code }) => code)).toEqual(['store_fenced']);
    expect(await young.load(before.instance.id)).toEqual(taken);
    await young.close();
  });

  it('takes a commit for done whose transaction errored but is on disk, and tries one again that conflicted', async () => {
    const db = await openDatabase('mem://', clock);
    let mode: 'well' | 'lost answer' | 'conflict' = 'well';
    const store = await SurrealWorkflowStore.over(
      faulty(db, async (statements, run) => {
        const now = mode;
        if (!isCommit(statements) || now === 'well') return void (await run());
        mode = 'well';
        if (now === 'lost answer') await run();
        throw new Error(now === 'conflict' ? 'Transaction conflict: can be retried' : 'socket hang up');
      }),
      { clock },
    );
    await store.saveTemplate(TEMPLATE);
    mode = 'lost answer';
    const first = await store.save(creation('a'));
    mode = 'conflict';
    const second = await store.save(note(first));
    expect((await collect(store.history(asInstanceId('a')))).map(({ revision }) => revision)).toEqual([1, 2]);
    expect(await store.load(asInstanceId('a'))).toEqual(second);
  });

  it.each([
    ['IO error: No space left on device', 'store_full'],
    ['IO error: While fdatasync: Input/output error', 'store_failed'],
  ])('fails for good when a commit fails with "%s"', async (message, code) => {
    const db = await openDatabase('mem://', clock);
    let isBroken = false;
    const failures: VaporaError[] = [];
    const store = await SurrealWorkflowStore.over(
      faulty(db, async (statements, run) => {
        // the engine shows what it could not write until it is opened again
        await run();
        if (isBroken && isCommit(statements)) throw new Error(message);
      }),
      { clock, onFailure: (error) => failures.push(error) },
    );
    await store.saveTemplate(TEMPLATE);
    const saved = await store.save(creation('a'));
    isBroken = true;
    const attempts = [store.save(note(saved)), store.save(creation('b'))];
    const results = await Promise.allSettled(attempts);
    for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: { code } });
    isBroken = false;
    await expect(store.save(note(saved))).rejects.toMatchObject({ code });
    expect(failures).toHaveLength(1);
    await store.close();
  });

  it('replays what was committed and never written out, the same however often', async () => {
    const db = await openDatabase('mem://', clock);
    let mayProject = true;
    const first = await SurrealWorkflowStore.over(
      faulty(db, async (statements, run) => {
        if (!mayProject && statements.includes('workflow_history')) await new Promise(() => undefined);
        await run();
      }),
      { clock },
    );
    await first.saveTemplate(TEMPLATE);
    const early = await first.save(creation('early'));
    await first.writeOut();
    mayProject = false;
    const late = await first.save(completion(await first.save(note(early))));
    const fresh = await first.save(creation('fresh'));
    const reborn = await first.save(completion(await first.save(creation('reborn'))));
    await first.delete(reborn.instance.id);
    const again = await first.save(creation('reborn', { at: 9 }));
    for (let time = 0; time < 3; time += 1) {
      const store = await SurrealWorkflowStore.over(db, { clock });
      expect(await store.load(late.instance.id)).toEqual(late);
      expect(await store.load(fresh.instance.id)).toEqual(fresh);
      expect(await store.load(again.instance.id)).toEqual(again);
      expect(await collect(store.history(late.instance.id))).toHaveLength(3);
      expect(await collect(store.history(again.instance.id))).toHaveLength(1);
      if (time === 2) await store.close();
    }
  });

  it('asks nothing more for the first commit of what it has read, unless it was read before others', async () => {
    const db = await openDatabase('mem://', clock);
    const early = await SurrealWorkflowStore.over(
      faulty(db, async (_, run) => void (await run())),
      { clock },
    );
    const before = await early.save(creation('a'));
    await early.writeOut();
    const asked: string[] = [];
    let release: () => void = () => undefined;
    let isHeld = false;
    const store = await SurrealWorkflowStore.over(
      faulty(db, async (statements, run) => {
        asked.push(statements);
        await run();
        if (isHeld && statements.includes('wake, head')) await new Promise<void>((done) => (release = done));
      }),
      { clock },
    );
    expect((await collect(store.loadActive(-1, 0))).flat()).toEqual([before]);
    asked.length = 0;
    const next = await store.save(note(before));
    expect(asked.filter((statements) => statements.includes('SELECT VALUE { id'))).toEqual([]);
    await store.writeOut();
    isHeld = true;
    const late = collect(store.loadActive(-1, 0));
    const newest = await store.save(note(next));
    await store.writeOut();
    release();
    await late;
    expect((await store.save(note(newest))).instance.revision).toBe(4);
  });

  it('empties its journal when it is closed', async () => {
    const db = await openDatabase('mem://', clock);
    const store = await SurrealWorkflowStore.over(
      faulty(db, async (_, run) => void (await run())),
      { clock },
    );
    for (let n = 0; n < 20; n += 1) await store.save(creation(`i-${n}`));
    expect((await db.run('SELECT VALUE id FROM journal'))[0]).not.toHaveLength(0);
    await store.close();
    expect((await db.run('SELECT VALUE id FROM journal'))[0]).toHaveLength(0);
    const next = await SurrealWorkflowStore.over(db, { clock });
    expect((await collect(next.loadActive(-1, 0))).flat()).toHaveLength(20);
  });

  it('refuses a database of a newer version, and one whose migrations are not its own', async () => {
    const db = await openDatabase('mem://', clock);
    await SurrealWorkflowStore.over(db, { clock });
    await SurrealWorkflowStore.over(db, { clock });
    await db.run('CREATE migrations:9999 SET number = 9999, name = "later", sha256 = "x", at = 1');
    await expect(SurrealWorkflowStore.over(db, { clock })).rejects.toMatchObject({ code: 'store_newer' });
    await db.run('DELETE migrations:9999; UPDATE migrations:1 SET sha256 = "other"');
    await expect(SurrealWorkflowStore.over(db, { clock })).rejects.toMatchObject({
      code: 'store_unreadable',
    });
  });

  it('answers with an error where the bytes of a blob no longer match', async () => {
    const db = await openDatabase('mem://', clock);
    const store = await SurrealWorkflowStore.over(db, { clock });
    const digest = await store.saveBlob(Buffer.from('content'));
    await db.run('UPDATE artifact_chunks SET bytes = <bytes>"kontent"');
    await expect(store.loadBlob(digest)).rejects.toMatchObject({ code: 'store_unreadable' });
  });

  it('is open once in a process, and can be opened again after it was closed', async () => {
    const store = await SurrealWorkflowStore.open('mem://twice', { clock });
    await expect(SurrealWorkflowStore.open('mem://twice', { clock })).rejects.toMatchObject({
      code: 'store_locked',
    });
    await store.close();
    await (await SurrealWorkflowStore.open('mem://twice', { clock })).close();
  });
});

describe('a store URL', () => {
  it('of a server gives address, credentials, namespace and database', () => {
    expect(parseStoreUrl('ws://ann:p%40ss@host:8000/ns/db')).toEqual({
      kind: 'server',
      scheme: 'ws',
      address: 'ws://host:8000',
      credentials: { username: 'ann', password: 'p@ss' },
      level: 'root',
      namespace: 'ns',
      database: 'db',
    });
    expect(parseStoreUrl('http://host')).toMatchObject({
      namespace: 'vapora',
      database: 'vapora',
      credentials: null,
    });
  });

  it.each([
    '',
    'x',
    'redis://a',
    'rocksdb://',
    'http://',
    'ws://h/a%20b/c',
    'rocksdb://a?sync=never',
    'ws://root:100%@h',
    'ws://h?user=me',
  ])('`%s` is refused', (url) => {
    expect(() => parseStoreUrl(url)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});
