import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { VaporaError } from '../../core/errors.js';
import { asDigest, asInstanceId } from '../../core/names.js';
import type { Clock } from '../../core/ports.js';
import { describeWorkflowStore } from '../conformance.suite.js';
import { collect, creation, note, TEMPLATE, testClock } from '../fixtures.suite.js';
import { openDatabase } from './connection.js';
import { type Request, startTestServer, type TestServer } from './server.suite.js';
import { SurrealWorkflowStore } from './store.js';

const clock = testClock();

/** Half a minute passes in a third of a second, whatever is short stays as long as it is. */
const hastyClock: Clock = {
  ...clock,
  after: (delayMs, call) => clock.after(delayMs > 10_000 ? delayMs / 100 : delayMs, call),
};

for (const scheme of ['ws', 'http'] as const) {
  describeWorkflowStore(`${scheme}://`, async () => {
    const server = await startTestServer();
    const url = server.url(scheme);
    let store = await SurrealWorkflowStore.open(url, { clock });
    return {
      store,
      reopen: async () => {
        await store.close();
        store = await SurrealWorkflowStore.open(url, { clock });
        return store;
      },
      dispose: async () => {
        await store.close();
        await server.stop();
      },
    };
  });
}

const isCommit = ({ method, params }: Request) =>
  method === 'query' && String(params?.[0]).includes('INSERT INTO journal');

describe.each(['ws', 'http'] as const)('a server over %s://', (scheme) => {
  let server: TestServer;
  const opened: SurrealWorkflowStore[] = [];
  beforeAll(async () => {
    server = await startTestServer();
  });
  // one that is still at work would meet the next test's faults
  afterEach(async () => {
    server.onRequest(() => 'answer');
    for (const store of opened.splice(0)) await store.close().catch(() => undefined);
  });
  afterAll(() => server.stop());

  async function open(more: Partial<Parameters<typeof SurrealWorkflowStore.open>[1]> = {}) {
    const store = await SurrealWorkflowStore.open(server.url(scheme), { clock, ...more });
    opened.push(store);
    await store.saveTemplate(TEMPLATE);
    return store;
  }

  it('belongs to the engine that opened it last, and lets no earlier one write', async () => {
    const failures: VaporaError[] = [];
    const old = await open({ onFailure: (error) => failures.push(error) });
    const before = await old.save(creation('taken-over'));
    const young = await open();
    const taken = await young.save(note(before));
    await expect(old.save(note(before))).rejects.toMatchObject({ code: 'store_fenced' });
    await expect(old.save(creation('late'))).rejects.toMatchObject({ code: 'store_fenced' });
    expect(failures.map(({ code }) => code)).toEqual(['store_fenced']);
    expect(await young.load(before.instance.id)).toEqual(taken);
    expect(await young.load(asInstanceId('late'))).toBeNull();
  });

  it('has a commit once whose answer was lost, and says so', async () => {
    const store = await open();
    const first = await store.save(creation('lost-answer'));
    let losses = 0;
    server.onRequest((request) => {
      if (!isCommit(request) || losses > 0) return 'answer';
      losses += 1;
      return 'lose';
    });
    const second = await store.save(note(first));
    const third = await store.save(note(second));
    expect(losses).toBe(1);
    const history = await collect(store.history(first.instance.id));
    expect(history.map(({ revision }) => revision)).toEqual([1, 2, 3]);
    expect(await store.load(first.instance.id)).toEqual(third);
    // and it is all there for the next one
    expect(await (await open()).load(first.instance.id)).toEqual(third);
  });

  it('that comes back is gone on with: what was asked meanwhile waits', async () => {
    const store = await open();
    const first = await store.save(creation('restart'));
    for (let time = 0; time < 2; time += 1) {
      await server.stop();
      const waiting = Promise.all([
        store.save(creation(`meanwhile-${time}`)),
        store.loadBlob(asDigest('0'.repeat(64))),
      ]);
      await new Promise((resolve) => clock.after(300, () => resolve(undefined)));
      await server.start();
      const [saved] = await waiting;
      expect(saved.instance.revision).toBe(1);
    }
    await store.save(note(first));
    const { items } = await store.list({ limit: 100 });
    const names = items.map(({ id }) => String(id));
    expect(names).toEqual(expect.arrayContaining(['restart', 'meanwhile-0', 'meanwhile-1']));
  });

  it('that stays away ends the store, in the words of an operator', async () => {
    const failures: VaporaError[] = [];
    const store = await open({ clock: hastyClock, onFailure: (error) => failures.push(error) });
    const first = await store.save(creation('gone'));
    await server.stop();
    const save = store.save(note(first));
    await expect(save).rejects.toMatchObject({ code: 'store_failed' });
    await expect(save).rejects.toThrow(
      `the server of the store on \`${server.url(scheme)}\` was away for more than 30 s`,
    );
    await expect(store.load(asInstanceId('other'))).rejects.toMatchObject({ code: 'store_failed' });
    expect(failures).toHaveLength(1);
    await server.start();
    expect((await (await open()).load(first.instance.id))?.instance.revision).toBe(1);
  });

  it('that does not answer ends the store rather than keep it waiting', async () => {
    const store = await open({ clock: hastyClock });
    const first = await store.save(creation('silent'));
    server.onRequest((request) => (isCommit(request) ? 'hang' : 'answer'));
    const save = store.save(note(first));
    // what it was told is on disk, as it turns out when it is read back
    await expect(save).resolves.toMatchObject({ instance: { revision: 2 } });
    server.onRequest(() => 'hang');
    await expect(store.save(creation('silence'))).rejects.toThrow('did not answer within 60 s');
  });
});

describe.each(['ws', 'http'] as const)('a server over %s:// that asks for a password', (scheme) => {
  const PASSWORD = 'p@ss/w:rd';
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ password: PASSWORD });
  });
  afterAll(() => server.stop());

  it('lets in who has it, again after the connection broke', async () => {
    const url = server.url(scheme, `root:${encodeURIComponent(PASSWORD)}`);
    const store = await SurrealWorkflowStore.open(url, { clock });
    await store.saveTemplate(TEMPLATE);
    const first = await store.save(creation('with-password'));
    await server.stop();
    await server.start();
    expect((await store.save(note(first))).instance.revision).toBe(2);
    await store.close();
  });

  it.each([
    ['nothing', undefined],
    ['a wrong one', 'root:letmein-5ecret'],
    ['a wrong one of a user of the database', 'ann:letmein-5ecret'],
  ])('turns away who gives %s, without repeating it', async (_, credentials) => {
    const url = `${server.url(scheme, credentials)}${credentials?.startsWith('ann') ? '?user=database' : ''}`;
    const error: VaporaError = await openDatabase(url, clock).then(
      () => Promise.reject(new Error('it was let in')),
      (thrown: VaporaError) => thrown,
    );
    expect(error.code).toBe('store_unreadable');
    expect(error.hint).toContain('check user and password');
    expect(everything(error)).not.toContain('5ecret');
  });

  it('is not there at all where nobody listens', async () => {
    const nobody = await startTestServer();
    await nobody.stop();
    const url = nobody.url(scheme, 'root:letmein-5ecret');
    const error: VaporaError = await openDatabase(url, clock).then(
      () => Promise.reject(new Error('it was let in')),
      (thrown: VaporaError) => thrown,
    );
    expect(error).toMatchObject({
      code: 'store_unreadable',
      hint: 'check that the server runs and that the address is right',
    });
    expect(everything(error)).not.toContain('5ecret');
  });
});

/** All that a log could say of an error. */
function everything(error: unknown): string {
  const parts: string[] = [];
  for (let now: unknown = error; now instanceof Error; now = now.cause) {
    parts.push(String(now.stack), JSON.stringify({ ...now }));
  }
  return parts.join('\n');
}
