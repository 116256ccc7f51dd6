/** `vapora purge` killed again and again in the middle: nothing is removed that was not exported, and what stays is whole. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Entry } from '../../src/core/events.js';
import { asInstanceId } from '../../src/core/names.js';
import { verifyChain } from '../../src/store/chain.js';
import { VAPORA } from './cli-pipeline.js';
import { makeProject, startServer } from './server.js';

const COUNT = 240;
const KILLS = 4;

it('a purge that is killed loses nothing, and the next one goes on', { timeout: 120_000 }, async () => {
  const directory = makeProject(`
[engine.retention]
archive = "archive"
[[workflows]]
name = "gate"
stages = [{ name = "a", agents = ["ok"], approval_required = true }]
`);
  const server = await startServer(directory, { VAPORA_LOG: 'warn' });
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${server.url}/api/v1/instances${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBeLessThan(300);
    await answer.arrayBuffer();
  };
  for (let start = 0; start < COUNT; start += 40) {
    const ids = Array.from({ length: 40 }, (_, index) => `i${start + index}`);
    await Promise.all(ids.map((id) => post('', { workflow: 'gate', id })));
    await Promise.all(ids.map((id) => post(`/${id}/cancel`, {})));
  }
  await post('', { workflow: 'gate', id: 'live' });
  expect(await server.end()).toBe(0);

  const archive = join(directory, 'archive');
  const files = () => (existsSync(archive) ? readdirSync(archive) : []);
  const purge = [VAPORA, 'purge', '--keep-days', '0', '--json'];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const child = spawn(process.execPath, purge, { cwd: directory, stdio: 'ignore' });
    const exited = new Promise((resolve) => child.on('exit', resolve));
    const before = files().length;
    // once it is at it, at one place or another: while it writes the export, and after
    while (files().length === before && child.exitCode === null) await new Promise(setImmediate);
    for (let turn = 0; turn < kill * 20; turn += 1) await new Promise(setImmediate);
    child.kill('SIGKILL');
    await exited;
    const verified = spawnSync(process.execPath, [VAPORA, 'audit', 'verify', '--all'], {
      cwd: directory,
      encoding: 'utf8',
    });
    expect([verified.status, verified.stdout]).toEqual([0, expect.stringContaining('0 broken')]);
  }
  const done = execFileSync(process.execPath, purge, { cwd: directory, encoding: 'utf8' });
  expect(JSON.parse(done)).toMatchObject({ broken: 0 });

  const listed = execFileSync(process.execPath, [VAPORA, 'list', '--json'], {
    cwd: directory,
    encoding: 'utf8',
  });
  expect(JSON.parse(listed).instances.map(({ workflow_id }: { workflow_id: string }) => workflow_id)).toEqual(
    ['live'],
  );
  const whole = new Set<string>();
  for (const file of files().filter((name) => name.endsWith('.jsonl'))) {
    const entries = readFileSync(join(archive, file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry);
    for (const id of new Set(entries.map(({ instance }) => instance))) {
      const own = entries.filter(({ instance }) => instance === id);
      const last = own.at(-1);
      const head = { revision: last?.revision ?? 0, hash: last?.hash ?? own[0]?.previous };
      if (head.hash === undefined) continue;
      const report = await verifyChain(own, asInstanceId(id), { revision: head.revision, hash: head.hash });
      if (report.broken === null) whole.add(id);
    }
  }
  expect(whole.size).toBe(COUNT);
  const asked = spawnSync(process.execPath, [VAPORA, 'show', 'i7'], { cwd: directory, encoding: 'utf8' });
  expect(asked.stderr).toMatch(/was let go at .* the last with hash [0-9a-f]{64}/);
});
