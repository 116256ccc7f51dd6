/** Real processes, real kills, real full disks. */
import { execFileSync, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asInstanceId } from '../../core/names.js';
import { verifyChain } from '../chain.js';
import { testClock } from '../fixtures.suite.js';
import { type Compiled, compileChild } from './processes.suite.js';
import { SurrealWorkflowStore } from './store.js';

const options = { clock: testClock() };
let children: Compiled;
let directory: string;
beforeAll(async () => {
  children = await compileChild();
});
afterAll(() => children.remove());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vapora-faults-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function failureOf(url: string): Promise<{ code: string; message: string; hint: string }> {
  const child = children.run('open', url);
  expect(await child.ended).toBe(9);
  return JSON.parse((child.lines.at(-1) ?? '').slice('error '.length));
}

describe.each(['rocksdb', 'surrealkv'])('%s:// after kill -9', (scheme) => {
  it('has everything that was acknowledged, with whole chains, and nothing that was deleted', async () => {
    const url = `${scheme}://${directory}/db`;
    const acknowledged: string[] = [];
    for (const delayMs of [900, 300, 1_500]) {
      const child = children.run('save', url);
      await child.line('a-');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      child.process.kill('SIGKILL');
      expect(await child.ended).toBeNull();
      acknowledged.push(...child.lines.filter((line) => line !== 'open'));
    }
    const newest = new Map<string, readonly string[]>();
    for (const line of acknowledged) {
      const [id = '', ...rest] = line.split(' ');
      newest.set(id, rest);
    }
    expect(acknowledged.length).toBeGreaterThan(300);
    const store = await SurrealWorkflowStore.open(url, options);
    let deleted = 0;
    for (const [name, [revision, head]] of newest) {
      const id = asInstanceId(name);
      const stored = await store.load(id);
      if (revision === 'deleted') {
        deleted += 1;
        expect(stored).toBeNull();
        continue;
      }
      // a commit or a deletion may have been on disk before its process could say so
      if (stored === null) continue;
      expect(stored.instance.revision).toBeGreaterThanOrEqual(Number(revision));
      if (stored.instance.revision === Number(revision)) expect(stored.head).toBe(head);
      const end = { revision: stored.instance.revision, hash: stored.head };
      expect((await verifyChain(store.history(id), id, end)).broken).toBeNull();
    }
    expect(deleted).toBeGreaterThan(3);
    const lost: string[] = [];
    for (const [name, [revision]] of newest) {
      if (revision !== 'deleted' && (await store.load(asInstanceId(name))) === null)
        lost.push(`${name}@${revision}`);
    }
    // only those may be gone that were about to be deleted: ended at revision 12
    expect(lost.filter((one) => !one.endsWith('@12'))).toEqual([]);
    expect(lost.length).toBeLessThanOrEqual(12);
    await store.close();
  }, 60_000);
});

describe('a store whose engine kept values as it does by itself', () => {
  it('is read and written by one that compresses them, and the other way round', async () => {
    const url = `rocksdb://${directory}/db`;
    const settings = {
      SURREAL_ROCKSDB_MIN_BLOB_SIZE: '4096',
      SURREAL_ROCKSDB_BLOB_COMPRESSION_TYPE: 'none',
    };
    const newest = new Map<string, string>();
    for (const env of [settings, {}, settings]) {
      const child = children.run('save', url, env);
      await child.line('d-');
      await new Promise((resolve) => setTimeout(resolve, 500));
      child.process.kill('SIGKILL');
      await child.ended;
      for (const line of child.lines) {
        const [id = '', ...rest] = line.split(' ');
        if (id !== 'open') newest.set(id, rest.join(' '));
      }
    }
    const store = await SurrealWorkflowStore.open(url, options);
    const kept = [...newest].filter(([id, state]) => id.startsWith('a-') && !state.startsWith('deleted'));
    expect(kept.length).toBeGreaterThan(3);
    for (const [name] of kept.slice(0, -3)) {
      const id = asInstanceId(name);
      const stored = await store.load(id);
      // it may have been deleted before its process could say so
      if (stored === null) continue;
      const end = { revision: stored.instance.revision, hash: stored.head };
      expect(await verifyChain(store.history(id), id, end)).toMatchObject({ broken: null });
    }
    await store.close();
  }, 60_000);
});

describe('a data directory', () => {
  it('is refused while another process holds it, naming that process, and is free once it is dead', async () => {
    const url = `rocksdb://${directory}/db`;
    const holder = children.run('hold', url);
    await holder.line('open');
    const failed = await failureOf(url);
    expect(failed.code).toBe('store_locked');
    expect(failed.message).toContain(`process ${holder.process.pid} (node child.suite.js hold)`);
    expect(failed.hint).toContain(String(holder.process.pid));
    holder.process.kill('SIGKILL');
    await holder.ended;
    const next = children.run('open', url);
    expect(await next.ended).toBe(0);
    expect(next.lines).toEqual(['open', 'closed']);
  });

  it('is taken over from a dead process whose number another process has now', async () => {
    const lock = {
      pid: process.pid,
      started: 'boot:1',
      host: hostname(),
      command: 'node',
      since: '2026-01-01',
    };
    await writeFile(`${directory}/db.lock`, JSON.stringify(lock));
    expect(await children.run('open', `rocksdb://${directory}/db`).ended).toBe(0);
    await expect(readFile(`${directory}/db.lock`)).rejects.toThrow();
  });

  it('is taken over from a process that is dead though its parent has not noticed', async () => {
    // the shell becomes `sleep`, which never asks after its child
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      const pid = await new Promise<number>((resolve) =>
        parent.stdout.once('data', (data) => resolve(Number(data))),
      );
      await expect.poll(() => readFile(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n');
      process.kill(pid, 'SIGKILL');
      const stat = async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
      await expect.poll(async () => (await stat())[0]).toBe('Z');
      const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
      const holder = {
        pid,
        started: `${boot}:${(await stat())[19]}`,
        host: hostname(),
        command: 'node vapora',
        since: '',
      };
      await writeFile(`${directory}/db.lock`, JSON.stringify(holder));
      await (await SurrealWorkflowStore.open(`rocksdb://${directory}/db`, options)).close();
    } finally {
      parent.kill('SIGKILL');
    }
  });

  it('is refused while a process of another machine holds it', async () => {
    const lock = {
      pid: 1,
      started: null,
      host: 'elsewhere',
      command: 'node vapora run',
      since: '2026-01-01',
    };
    await writeFile(`${directory}/db.lock`, JSON.stringify(lock));
    const failed = await failureOf(`rocksdb://${directory}/db`);
    expect(failed).toMatchObject({ code: 'store_locked' });
    expect(failed.message).toContain('`elsewhere`');
  });

  it('of one engine is refused by the other, marked or not', async () => {
    for (const [one, other] of [
      ['rocksdb', 'surrealkv'],
      ['surrealkv', 'rocksdb'],
    ] as const) {
      expect(await children.run('open', `${one}://${directory}/${one}`).ended).toBe(0);
      expect((await failureOf(`${other}://${directory}/${one}`)).code).toBe('store_engine_mismatch');
      await rm(`${directory}/${one}.engine`);
      expect((await failureOf(`${other}://${directory}/${one}`)).code).toBe('store_engine_mismatch');
    }
  }, 30_000);

  it('that is something else is refused and left alone', async () => {
    await writeFile(`${directory}/file`, 'mine');
    await mkdir(`${directory}/photos`);
    await writeFile(`${directory}/photos/cat.jpg`, 'mine');
    expect((await failureOf(`rocksdb://${directory}/file`)).code).toBe('store_unreadable');
    expect((await failureOf(`rocksdb://${directory}/photos`)).code).toBe('store_unreadable');
    expect((await failureOf(`rocksdb://${directory}/file/db`)).code).toBe('store_unreadable');
    expect(await readFile(`${directory}/file`, 'utf8')).toBe('mine');
  });

  it('that is half-written is refused with a code', async () => {
    const url = `rocksdb://${directory}/db`;
    expect(await children.run('open', url).ended).toBe(0);
    await cp(`${directory}/db`, `${directory}/cut`, { recursive: true });
    await writeFile(`${directory}/cut/CURRENT`, 'MANIFEST-999999\n');
    expect((await failureOf(`rocksdb://${directory}/cut`)).code).toBe('store_unreadable');
  });
});

describe('a small disk', () => {
  let disk: string;
  beforeEach(async () => {
    disk = join(directory, 'disk');
    await mkdir(disk);
    expect(process.getuid?.(), 'full and read-only disks are mounted for real: run this test as root').toBe(
      0,
    );
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
  });
  afterEach(() => {
    execFileSync('umount', ['-l', disk]);
  });

  it('that fills up ends the store with its code, and what was acknowledged is kept', async () => {
    const url = `rocksdb://${disk}/db`;
    const child = children.run('save', url);
    expect(await child.ended).toBe(9);
    expect(JSON.parse((child.lines.at(-1) ?? '').slice(6))).toMatchObject({ code: 'store_full' });
    expect(child.lines.length).toBeGreaterThan(100);
    const again = await failureOf(url);
    expect(again.code).toBe('store_full');
    // the same data with room to breathe
    await cp(`${disk}/db`, `${directory}/roomy`, { recursive: true });
    const store = await SurrealWorkflowStore.open(`rocksdb://${directory}/roomy`, options);
    const newest = new Map(child.lines.slice(1, -1).map((line) => line.split(' ', 2) as [string, string]));
    for (const [id, revision] of newest) {
      const stored = await store.load(asInstanceId(id));
      if (revision === 'deleted') expect(stored).toBeNull();
      else if (revision !== '12') expect(stored?.instance.revision).toBeGreaterThanOrEqual(Number(revision));
    }
    await store.close();
  }, 60_000);

  it('that is read-only is refused', async () => {
    expect(await children.run('open', `rocksdb://${disk}/db`).ended).toBe(0);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    expect((await failureOf(`rocksdb://${disk}/db`)).code).toBe('store_unreadable');
  });
});
