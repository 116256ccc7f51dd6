import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { type Engine, openEngine } from '../compose.js';
import { parseConfig } from '../config/load.js';
import type { VaporaError } from '../core/errors.js';
import type { Entry } from '../core/events.js';
import { asDigest, asInstanceId, type InstanceId } from '../core/names.js';
import { createLogger } from '../observe/logger.js';
import { verifyChain } from '../store/chain.js';
import { TestClock } from '../testing/test-clock.js';

const DAY_MS = 86_400_000;
const ANN = { user: 'ann', groups: [] };
const LARGE = 'x'.repeat(200_000);

const worker = defineAgent({
  name: 'worker',
  roles: ['small', 'large', 'undo'],
  execute: ({ role, workflow_id }) => {
    if (role === 'small') return {};
    const content = workflow_id.startsWith('same') ? LARGE : `${workflow_id} ${LARGE}`;
    return { artifacts: [{ name: 'big', kind: 'code', content }] };
  },
  compensate: () => {
    throw new Error('no');
  },
});
const breaker = defineAgent({
  name: 'breaker',
  roles: ['fail'],
  execute: () => {
    throw new Error('no');
  },
});

const CONFIG = `
[engine]
store = "mem://"
[engine.retention]
keep_days = 30
archive = "archive"
[[workflows]]
name = "small"
stages = [{ name = "a", agents = ["small"] }]
[[workflows]]
name = "large"
stages = [{ name = "a", agents = ["large"] }]
[[workflows]]
name = "gate"
stages = [{ name = "a", agents = ["small"], approval_required = true }]
[[workflows]]
name = "letter"
stages = [
  { name = "a", agents = ["small"], compensation_agents = ["undo"], compensation_retry = { max_attempts = 1 } },
  { name = "b", agents = ["fail"], retry = { max_attempts = 1 } },
]
`;

let directory: string;
let clock: TestClock;
let engine: Engine;
let lines: string[];

async function openWith(config = CONFIG): Promise<Engine> {
  lines = [];
  return openEngine(parseConfig(config, { file: join(directory, 'workflows.toml') }, {}), {
    agents: [worker, breaker],
    clock,
    metrics: true,
    logger: createLogger('info', { write: (line) => lines.push(line) }),
    env: {},
  });
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'vapora-retention-'));
  clock = new TestClock();
  engine = await openWith();
});
afterEach(async () => {
  await settle(engine.close());
  rmSync(directory, { recursive: true, force: true });
});

/** What waits for the store as well as for the clock. */
async function settle<T>(work: Promise<T>): Promise<T> {
  let isSettled = false;
  const mark = () => {
    isSettled = true;
  };
  work.then(mark, mark);
  while (!isSettled) await clock.advance(10);
  return work;
}

async function run(workflow: string, id: string): Promise<void> {
  await settle(engine.api.start({ workflow, id, initiator: ANN, input: { id } }));
  await settle(engine.api.untilRest(id));
}

const pass = () => settle(engine.retention.run());
const isThere = async (id: string) => (await engine.store.load(asInstanceId(id))) !== null;

function archived(): Entry[][] {
  const files = readdirSync(join(directory, 'archive')).toSorted();
  return files.map((file) =>
    readFileSync(join(directory, 'archive', file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry),
  );
}

describe('retention', () => {
  it('lets go of what has ended once its time is over, and of nothing else', async () => {
    await run('small', 'old');
    await run('gate', 'waiting');
    await run('letter', 'letter');
    await clock.advance(20 * DAY_MS);
    await run('small', 'young');
    await clock.advance(10 * DAY_MS + 1_000);
    const report = await pass();
    expect([...report.purged]).toEqual([['small', 1]]);
    expect(await Promise.all(['old', 'waiting', 'letter', 'young'].map(isThere))).toEqual([
      false,
      true,
      true,
      true,
    ]);
    await expect(engine.api.get('old')).rejects.toMatchObject({
      code: 'instance_unknown',
      hint: expect.stringMatching(
        /^one that was completed was let go at 2024-.* the last with hash [0-9a-f]{64}$/,
      ),
    });
    const text = await engine.metrics?.text();
    expect(text).toContain('vapora_instances_purged_total{workflow="small"} 1');
    expect(text).toContain('vapora_retention_runs_total{result="done"} 1');
  });

  it('keeps a dead letter until somebody has closed it', async () => {
    await run('letter', 'letter');
    await clock.advance(40 * DAY_MS);
    await pass();
    expect(await isThere('letter')).toBe(true);
    await settle(engine.api.resolveDeadLetter('letter/a', ANN, 'by hand'));
    await pass();
    expect(await isThere('letter')).toBe(false);
  });

  it('leaves an anchor and an export that prove each other', async () => {
    await run('small', 'a');
    await run('letter', 'b');
    await settle(engine.api.resolveDeadLetter('b/a', ANN, 'by hand'));
    await clock.advance(31 * DAY_MS);
    await pass();
    const histories = new Map<InstanceId, Entry[]>();
    for (const entry of archived().flat()) {
      histories.set(entry.instance, [...(histories.get(entry.instance) ?? []), entry]);
    }
    expect([...histories.keys()].toSorted()).toEqual(['a', 'b']);
    for (const [id, history] of histories) {
      const [anchor] = await engine.store.attic.anchors(id);
      expect(anchor).toMatchObject({ id, initiator: 'ann', purgedAt: expect.any(Number) });
      const head = { revision: anchor?.revision ?? 0, hash: anchor?.head ?? asDigest('0'.repeat(64)) };
      expect((await verifyChain(history, id, head)).broken).toBeNull();
      expect((await verifyChain(history.slice(0, -1), id, head)).broken).not.toBeNull();
    }
  });

  it('has many ended instances go in batches, each in a file of its own', async () => {
    for (let number = 0; number < 130; number += 1) await run('small', `n${number}`);
    await clock.advance(31 * DAY_MS);
    const report = await pass();
    expect([...report.purged]).toEqual([['small', 130]]);
    expect(archived().map((entries) => new Set(entries.map(({ instance }) => instance)).size)).toEqual([
      100, 30,
    ]);
    expect((await settle(engine.api.list({ limit: 10 }))).items).toEqual([]);
  });

  it('frees the id of what is gone, and remembers who had it before', async () => {
    for (let round = 0; round < 2; round += 1) {
      await run('small', 'again');
      await clock.advance(31 * DAY_MS);
      await pass();
    }
    const anchors = await engine.store.attic.anchors(asInstanceId('again'));
    expect(anchors).toHaveLength(2);
    expect(anchors[0]?.purgedAt).toBeGreaterThan(anchors[1]?.purgedAt ?? Number.POSITIVE_INFINITY);
  });

  it('keeps everything where no time is configured', async () => {
    await settle(engine.close());
    engine = await openWith(CONFIG.replace(/\[engine.retention\]\nkeep_days = 30\narchive = "archive"/, ''));
    await run('small', 'old');
    await clock.advance(4_000 * DAY_MS);
    expect((await pass()).purged.size).toBe(0);
    expect(await isThere('old')).toBe(true);
  });

  it('runs by itself once it is started, and stops', async () => {
    await run('small', 'old');
    await clock.advance(31 * DAY_MS);
    engine.retention.start();
    while (await isThere('old')) await clock.advance(1_000);
    await settle(engine.close());
    expect(clock.pending).toBe(0);
  });

  it('says that it failed, where the archive can not be written, and removes nothing', async () => {
    await settle(engine.close());
    engine = await openWith(CONFIG.replace('"archive"', '"workflows.toml/archive"'));
    rmSync(directory, { recursive: true });
    const { writeFileSync, mkdirSync } = await import('node:fs');
    mkdirSync(directory);
    writeFileSync(join(directory, 'workflows.toml'), '');
    await run('small', 'old');
    await clock.advance(31 * DAY_MS);
    engine.retention.start();
    while (!lines.some((line) => line.includes('could not be tidied away'))) await clock.advance(1_000);
    expect(await isThere('old')).toBe(true);
    expect(await engine.metrics?.text()).toContain('vapora_retention_runs_total{result="failed"} 1');
  });
});

describe('content', () => {
  const refOf = async (id: string) => {
    const [artifact] = await engine.api.artifacts(id);
    return asDigest(artifact?.digest ?? '');
  };
  const isStored = async (digest: string) => (await engine.store.loadBlob(asDigest(digest))) !== null;

  it('goes when no instance refers to it any more, a week later at the soonest', async () => {
    await run('large', 'one');
    const digest = await refOf('one');
    await clock.advance(31 * DAY_MS);
    await pass();
    expect([await isThere('one'), await isStored(digest)]).toEqual([false, true]);
    // the first run found it in use
    await clock.advance(6 * DAY_MS);
    expect((await pass()).contents).toBe(0);
    await clock.advance(2 * DAY_MS);
    const report = await pass();
    expect([report.contents, report.contentBytes]).toEqual([1, LARGE.length + 4]);
    expect(await isStored(digest)).toBe(false);
  });

  it('stays while another instance refers to the same', async () => {
    await run('large', 'same-1');
    await clock.advance(20 * DAY_MS);
    await run('large', 'same-2');
    const digest = await refOf('same-2');
    for (let day = 0; day < 28; day += 4) {
      await clock.advance(4 * DAY_MS);
      await pass();
    }
    expect([await isThere('same-1'), await isThere('same-2'), await isStored(digest)]).toEqual([
      false,
      true,
      true,
    ]);
    expect(Buffer.from(await engine.api.content('same-2', { digest })).toString()).toBe(LARGE);
    for (let day = 0; day < 20; day += 4) {
      await clock.advance(4 * DAY_MS);
      await pass();
    }
    expect(await isStored(digest)).toBe(false);
  });

  it('that was saved and never referred to goes too, unless it is saved again', async () => {
    const [lost, wanted] = [Buffer.from(`lost ${LARGE}`), Buffer.from(`wanted ${LARGE}`)];
    const digests = await settle(Promise.all([lost, wanted].map((bytes) => engine.store.saveBlob(bytes))));
    await clock.advance(6 * DAY_MS);
    await settle(engine.store.saveBlob(wanted));
    await clock.advance(2 * DAY_MS);
    expect((await pass()).contents).toBe(1);
    expect(await Promise.all(digests.map(isStored))).toEqual([false, true]);
    // it can come back
    await settle(engine.store.saveBlob(lost));
    expect(await Promise.all(digests.map(isStored))).toEqual([true, true]);
  });

  it('that is saved while it is being removed is there afterwards', async () => {
    const bytes = Buffer.from(`wanted ${LARGE}`);
    const digest = await settle(engine.store.saveBlob(bytes));
    await clock.advance(8 * DAY_MS);
    const removing = engine.retention.run();
    const saved: Promise<unknown>[] = [];
    for (let turn = 0; turn < 40; turn += 1) {
      saved.push(engine.store.saveBlob(bytes));
      await clock.advance(0);
    }
    await settle(Promise.all([removing, ...saved]));
    expect(await isStored(digest)).toBe(true);
  });
});

describe('an instance that somebody wakes while it is being let go', () => {
  const wishes: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
    retry: (id) => engine.api.retry(id, ANN),
    resume: (id) => engine.api.resume(id, ANN),
    rollback: (id) => engine.api.rollback(id, ANN),
    read: (id) => engine.api.verifyAudit(id),
    // the one that is written into the history of what has ended
    'late result': (id) =>
      engine.api.agentWords.late({ taskId: `${id}/a/small/execute#1`, status: 'failed', claimant: null }),
    'start anew': (id) => engine.api.start({ workflow: 'letter', id, initiator: ANN, input: { id } }),
    'wait for': (id) => engine.api.untilRest(id),
  };

  const moments = ['before', 'while', 'after'] as const;
  const cases = Object.keys(wishes).flatMap((name) => moments.map((moment) => [name, moment] as const));

  it.each(cases)('(%s, %s) is there as a whole, or gone as a whole', async (name, moment) => {
    await run('letter', 'x');
    await settle(engine.api.resolveDeadLetter('x/a', ANN, 'by hand'));
    await clock.advance(31 * DAY_MS);
    let answer: Promise<string | null> = Promise.resolve(null);
    const come = () => {
      answer = Promise.resolve(wishes[name]?.('x')).then(
        () => null,
        (error: VaporaError) => error.code,
      );
    };
    const remove = engine.store.delete.bind(engine.store);
    engine.store.delete = async (id) => {
      if (moment === 'before') come();
      const removing = remove(id);
      if (moment === 'while') come();
      await removing;
      if (moment === 'after') come();
    };
    const report = await pass();
    const code = await settle(answer);
    expect([null, 'instance_unknown', 'instance_ended', 'instance_exists']).toContain(code);
    expect([...report.purged]).toEqual([['letter', 1]]);
    expect(await engine.store.attic.anchors(asInstanceId('x'))).toHaveLength(1);
    // whatever is there now was started since, and nobody has brought the engine down
    for (const { id } of (await settle(engine.api.list({ limit: 10 }))).items) {
      await settle(engine.api.untilRest(id));
      expect((await settle(engine.api.verifyAudit(id))).broken).toBeNull();
    }
    await run('small', 'y');
    expect(await isThere('y')).toBe(true);
  });
});
