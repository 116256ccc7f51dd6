/** Retention, backup and restore on a SurrealDB server, whose answers get lost on the way. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { compress, readBackup, saveBackup } from '../backup/file.js';
import { restoreBackup } from '../backup/restore.js';
import { backupLines } from '../backup/write.js';
import { type Engine, openEngine } from '../compose.js';
import { parseConfig } from '../config/load.js';
import { asDigest, asInstanceId } from '../core/names.js';
import type { Clock } from '../core/ports.js';
import { systemClock } from '../engine/clock.js';
import { createLogger } from '../observe/logger.js';
import { startTestServer, type TestServer } from '../store/surreal/server.suite.js';
import { SurrealWorkflowStore } from '../store/surreal/store.js';

const DAY_MS = 86_400_000;
const ANN = { user: 'ann', groups: [] };
const LARGE = 'x'.repeat(300_000);
const PATIENCE_MS = 120_000;

const worker = defineAgent({
  name: 'worker',
  roles: ['large'],
  execute: ({ workflow_id }) => ({
    artifacts: [{ name: 'big', kind: 'code', content: `${workflow_id} ${LARGE}` }],
    usage: { input_tokens: 7 },
  }),
});

const config = (store: string): string => `
[engine]
store = "${store}"
[engine.retention]
keep_days = 30
[[workflows]]
name = "large"
shared_budget = { per = "month", tokens = 1000000 }
stages = [{ name = "a", agents = ["large"] }]
`;

/** The machine's clock, which can be put forward; what is waited for lasts as long as ever. */
class ShiftedClock implements Clock {
  readonly #clock = systemClock();
  #shiftMs = 0;
  shift(ms: number): void {
    this.#shiftMs += ms;
  }
  now = (): number => this.#clock.now() + this.#shiftMs;
  after = (delayMs: number, call: () => void): (() => void) => this.#clock.after(delayMs, call);
  random = (): number => this.#clock.random();
  newId = (): string => this.#clock.newId();
}

let server: TestServer;
let clock: ShiftedClock;
let directory: string;
let engine: Engine;
let databases = 0;
beforeEach(async () => {
  server = await startTestServer();
  clock = new ShiftedClock();
  directory = mkdtempSync(join(tmpdir(), 'vapora-server-'));
  engine = await openAt(newDatabase(server));
});
afterEach(async () => {
  server.onRequest(() => 'answer');
  await engine.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

function newDatabase(at: TestServer): string {
  databases += 1;
  return `${at.url('ws')}/test/d${databases}`;
}

function openAt(store: string): Promise<Engine> {
  return openEngine(parseConfig(config(store), { file: join(directory, 'workflows.toml') }, {}), {
    agents: [worker],
    clock,
    env: {},
    logger: createLogger('silent', { write: () => undefined }),
  });
}

async function run(id: string): Promise<string> {
  await engine.api.start({ workflow: 'large', id, initiator: ANN });
  expect((await engine.api.untilRest(id)).status).toBe('completed');
  const [artifact] = await engine.api.artifacts(id);
  return artifact?.digest ?? '';
}

/** Has the answer to the nth request from now on lost, 0 being the next one; answers how to find out how many there were. */
function loseAnswer(nth: number, at = server): () => number {
  let requests = 0;
  at.onRequest(({ method }) => {
    if (method !== 'query') return 'answer';
    requests += 1;
    return requests === nth + 1 ? 'lose' : 'answer';
  });
  return () => requests;
}

const isThere = async (id: string) => (await engine.store.load(asInstanceId(id))) !== null;

describe('on a server, whichever answer is lost', () => {
  it(
    'retention removes what is to go once, keeps its anchor, and leaves the rest',
    async () => {
      for (let nth = 0, requests = 1; nth < requests; nth += 1) {
        const [old, young] = [`old-${nth}`, `young-${nth}`];
        const digest = asDigest(await run(old));
        clock.shift(31 * DAY_MS);
        const kept = asDigest(await run(young));
        const count = loseAnswer(nth);
        const first = await engine.retention.run();
        clock.shift(8 * DAY_MS);
        const second = await engine.retention.run();
        requests = count();
        server.onRequest(() => 'answer');
        const place = `answer ${nth} of ${requests}`;
        // the young one of the round before has grown old
        expect([...first.purged, ...second.purged], place).toEqual([['large', nth === 0 ? 1 : 2]]);
        expect([await isThere(old), await isThere(young)], place).toEqual([false, true]);
        expect(await engine.store.attic.anchors(asInstanceId(old)), place).toHaveLength(1);
        expect(await engine.store.loadBlob(digest), place).toBeNull();
        expect(await engine.store.loadBlob(kept), place).not.toBeNull();
        expect((await engine.api.verifyAudit(young)).broken, place).toBeNull();
      }
    },
    PATIENCE_MS,
  );

  it(
    'what was charged is dropped after two months, and what is charged since then counts once',
    async () => {
      for (let nth = 0, requests = 1; nth < requests; nth += 1) {
        await run(`before-${nth}`);
        clock.shift(63 * DAY_MS);
        const since = clock.now() - DAY_MS;
        await run(`after-${nth}`);
        const count = loseAnswer(nth);
        await engine.store.attic.dropCharges(since);
        requests = count();
        server.onRequest(() => 'answer');
        const charges = await engine.store.charges(0);
        expect(charges.map(({ workflow, spent }) => [workflow, spent.tokens])).toEqual([['large', 7]]);
      }
    },
    PATIENCE_MS,
  );

  it(
    'a backup is whole, and restored it is what it was, with what was charged',
    async () => {
      for (let number = 0; number < 3; number += 1) await run(`i-${number}`);
      const file = join(directory, 'b.backup');
      const before = await engine.store.charges(0);
      expect(before.map(({ spent }) => spent.tokens)).toEqual([21]);
      const backUp = () => saveBackup(file, compress(backupLines(engine.store, { at: 0, version: '0' })));
      const whole = await backUp();
      for (let nth = 0, requests = 1; nth < requests; nth += 1) {
        const count = loseAnswer(nth);
        expect(await backUp(), `answer ${nth}`).toEqual(whole);
        requests = count();
      }
      server.onRequest(() => 'answer');
      // a server for tests has one session, which is in one database at a time
      const target = await startTestServer();
      onTestFinished(() => target.stop());
      for (let nth = 0, requests = 1; nth < requests; nth += 3) {
        const store = await SurrealWorkflowStore.open(newDatabase(target), { clock, isRestoring: true });
        const count = loseAnswer(nth, target);
        const restored = await restoreBackup(store, readBackup(file), () => clock.now());
        requests = count();
        target.onRequest(() => 'answer');
        const place = `answer ${nth} of ${requests}`;
        expect(restored, place).toEqual(whole);
        expect(await store.charges(0), place).toEqual(before);
        for (const id of ['i-0', 'i-1', 'i-2'].map(asInstanceId)) {
          expect(await store.load(id), place).toEqual(await engine.store.load(id));
        }
        await store.close();
      }
    },
    PATIENCE_MS,
  );
});
