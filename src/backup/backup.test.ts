import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { type Engine, openEngine } from '../compose.js';
import { parseConfig } from '../config/load.js';
import { asInstanceId } from '../core/names.js';
import { systemClock } from '../engine/clock.js';
import { createLogger } from '../observe/logger.js';
import { SurrealWorkflowStore } from '../store/surreal/store.js';
import { compress, readBackup, saveBackup } from './file.js';
import type { BackupSummary } from './format.js';
import { inspectBackup } from './read.js';
import { restoreBackup } from './restore.js';
import { backupLines } from './write.js';

const ANN = { user: 'ann', groups: ['ops'] };
const LARGE = 'x'.repeat(500_000);
const CONFIG = `
[engine]
store = "mem://"
[[workflows]]
name = "large"
stages = [{ name = "a", agents = ["large"] }]
[[workflows]]
name = "gate"
stages = [{ name = "a", agents = ["large"] }, { name = "b", agents = ["large"], approval_required = true }]
[[workflows]]
name = "letter"
stages = [
  { name = "a", agents = ["large"], compensation_agents = ["fail"], compensation_retry = { max_attempts = 1 } },
  { name = "b", agents = ["fail"], retry = { max_attempts = 1 } },
]
`;
const agents = [
  defineAgent({
    name: 'large',
    roles: ['large'],
    execute: ({ workflow_id }) => ({
      artifacts: [{ name: 'big', kind: 'code', content: `${workflow_id} ${LARGE}` }],
    }),
  }),
  defineAgent({
    name: 'fail',
    roles: ['fail'],
    execute: () => {
      throw new Error('no');
    },
    compensate: () => {
      throw new Error('no');
    },
  }),
];
const clock = systemClock();

let directory: string;
let file: string;
let engine: Engine;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'vapora-backup-'));
  file = join(directory, 'b.backup');
  engine = await openWith();
  for (const [workflow, id] of [
    ['large', 'done'],
    ['gate', 'waiting'],
    ['letter', 'letter'],
  ] as const) {
    await engine.api.start({ workflow, id, initiator: ANN, input: { id }, labels: { team: 'shop' } });
    await engine.api.untilRest(id);
  }
});
afterEach(async () => {
  await engine.close();
  rmSync(directory, { recursive: true, force: true });
});

function openWith(store = 'mem://'): Promise<Engine> {
  const config = parseConfig(
    CONFIG.replace('mem://', store),
    { file: join(directory, 'workflows.toml') },
    {},
  );
  return openEngine(config, {
    agents,
    env: {},
    logger: createLogger('silent', { write: () => undefined }),
  });
}

const linesNow = () => backupLines(engine.store, { at: clock.now(), version: '0' });
const backUp = (): Promise<BackupSummary> => saveBackup(file, compress(linesNow()));
const newStore = (url = 'mem://') => SurrealWorkflowStore.open(url, { clock, isRestoring: true });

async function statesOf(store: SurrealWorkflowStore): Promise<unknown[]> {
  const { items } = await store.list({ limit: 1_000 });
  return Promise.all(items.map(({ id }) => store.load(id)));
}

describe('a backup', () => {
  it('holds everything, and is private', async () => {
    const summary = await backUp();
    expect(summary).toMatchObject({ instances: 3, contents: 3, broken: [] });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('restored into another store gives the same instances, contents, marks, tokens and anchors', async () => {
    const mark = { workflow: 'large', spec: 's', until: 5, lastId: null, last: null, paused: null };
    await engine.store.saveMark(mark);
    const [stored] = await Promise.all([engine.store.load(asInstanceId('done'))]);
    const anchor = {
      id: asInstanceId('gone'),
      template: 'large',
      status: 'completed' as const,
      initiator: 'ann',
      createdAt: 1,
      endedAt: 2,
      revision: 3,
      head: stored?.head ?? ('' as never),
      purgedAt: 4,
    };
    await engine.store.attic.saveAnchors([anchor]);
    const made = await backUp();
    const store = await newStore();
    const restored = await restoreBackup(store, readBackup(file), () => clock.now());
    expect(restored).toEqual(made);
    expect(await statesOf(store)).toEqual(await statesOf(engine.store));
    expect(await store.marks()).toEqual([mark]);
    expect(await store.attic.anchors(anchor.id)).toEqual([anchor]);
    const digest = (await engine.api.artifacts('done'))[0]?.digest ?? ('' as never);
    expect(Buffer.from((await store.loadBlob(digest)) ?? []).toString()).toBe(`done ${LARGE}`);
    await store.close();
  });

  it('can be gone on from: what waited goes on, and each history is whole', async () => {
    await backUp();
    const store = await newStore(`rocksdb://${join(directory, 'store')}`);
    await restoreBackup(store, readBackup(file), () => clock.now());
    // the lines of the restored store are those of the first
    const again: string[] = [];
    for await (const line of backupLines(store, { at: 0, version: '0' })) again.push(line);
    const first = gunzipSync(readFileSync(file)).toString().split('\n');
    expect(again.slice(1, -1).map((line) => line.trimEnd())).toEqual(first.slice(1, again.length - 1));
    await store.close();
  });

  it('made while instances run and go holds each as it was at one moment', async () => {
    const before = 40;
    for (let number = 0; number < before; number += 1) {
      await engine.api.start({ workflow: 'gate', id: `g${number}`, initiator: ANN });
    }
    let number = 0;
    const lines: string[] = [];
    for await (const line of linesNow()) {
      lines.push(line);
      if (lines.length % 3 !== 0 || number >= before) continue;
      const id = `g${number}`;
      number += 1;
      await engine.api.cancel(id, ANN, { compensate: false });
      if (number % 2 === 0) await engine.store.delete(asInstanceId(id));
    }
    await saveBackup(file, compress(fromLines(lines)));
    const store = await newStore();
    const summary = await restoreBackup(store, readBackup(file), () => clock.now());
    expect(summary.broken).toEqual([]);
    expect(summary.instances).toBeGreaterThan(3);
    await store.close();
  });

  it('names an instance whose history is broken, and leaves it out', async () => {
    const lied: typeof engine.store = Object.create(engine.store, {
      history: {
        value: async function* (id: string) {
          for await (const entry of engine.store.history(asInstanceId(id)))
            yield id === 'done' && entry.revision === 1 ? { ...entry, at: entry.at + 1 } : entry;
        },
      },
    });
    for (const name of [
      'list',
      'load',
      'loadTemplate',
      'loadBlob',
      'marks',
      'tokens',
      'decisions',
    ] as const) {
      Object.defineProperty(lied, name, { value: engine.store[name].bind(engine.store) });
    }
    const summary = await saveBackup(file, compress(backupLines(lied, { at: 0, version: '0' })));
    expect(summary).toMatchObject({ instances: 2, broken: [{ id: 'done', reason: expect.any(String) }] });
    const store = await newStore();
    expect((await restoreBackup(store, readBackup(file), () => 0)).broken).toHaveLength(1);
    await store.close();
  });
});

async function* fromLines(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

describe('a backup that is not whole', () => {
  const refused = async (bytes: Uint8Array) => {
    writeFileSync(file, bytes);
    await expect(inspectBackup(readBackup(file))).rejects.toMatchObject({ code: 'backup_invalid' });
  };

  it('is refused wherever it was cut off', async () => {
    await backUp();
    const whole = readFileSync(file);
    for (const share of [0.001, 0.2, 0.5, 0.9, 0.999]) await refused(whole.subarray(0, whole.length * share));
    const lines = gunzipSync(whole).toString().trimEnd().split('\n');
    await refused(gzipSync(`${lines.slice(0, -1).join('\n')}\n`));
    await refused(gzipSync(lines.join('\n')));
    await refused(gzipSync(''));
  });

  it('is refused where a line was changed, added or left out', async () => {
    await backUp();
    const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split('\n');
    const written = (changed: readonly string[]) => refused(gzipSync(`${changed.join('\n')}\n`));
    await written(lines.map((line) => line.replace('"ann"', '"eve"')));
    await written(lines.filter((_, index) => index !== 5));
    await written([...lines, lines[2] ?? '']);
    await written(['{"kind":"begin","format":"other","version":1}', ...lines.slice(1)]);
    await written(['not JSON', ...lines.slice(1)]);
    await refused(Buffer.from('not compressed'));
  });

  it('is never found under its name: what breaks off leaves no file', async () => {
    const breaking = async function* () {
      yield* fromLines(['{"kind":"begin","format":"vapora-backup","version":1,"at":1,"by":"0"}\n']);
      throw new Error('the line is cut');
    };
    await expect(saveBackup(file, compress(breaking()))).rejects.toThrow('the line is cut');
    expect(() => statSync(file)).toThrow();
    expect(() => statSync(`${file}.part`)).toThrow();
  });
});

describe('a restore', () => {
  it('goes into an empty store only', async () => {
    await backUp();
    await expect(restoreBackup(engine.store, readBackup(file), () => 0)).rejects.toMatchObject({
      code: 'store_not_empty',
    });
  });

  it('that was cut off is gone on with, wherever that was, and by nobody else', async () => {
    await backUp();
    const count = gunzipSync(readFileSync(file)).toString().split('\n').length;
    const store = await newStore();
    for (const stop of [3, 9, Math.floor(count / 2), count - 4]) {
      const cutOff = async function* () {
        let taken = 0;
        for await (const line of readBackup(file)) {
          if (taken === stop) throw new Error('cut off');
          taken += 1;
          yield line;
        }
      };
      await expect(restoreBackup(store, cutOff(), () => 0)).rejects.toThrow('cut off');
      expect(await store.restores.isHalfRestored()).toBe(true);
    }
    await restoreBackup(store, readBackup(file), () => 0);
    expect(await store.restores.isHalfRestored()).toBe(false);
    expect(await statesOf(store)).toEqual(await statesOf(engine.store));
    await store.close();
  });
});
