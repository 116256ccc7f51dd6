/** A backup of a server that is at work, restored by a process that is killed in the middle, and gone on from. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { VAPORA } from './cli-pipeline.js';
import { makeProject, startServer } from './server.js';

const COUNT = 300;

it('a backup over a server is restored, however often the restore is killed', {
  timeout: 120_000,
}, async () => {
  const directory = makeProject(`
[[workflows]]
name = "gate"
stages = [{ name = "a", agents = ["ok"], approval_required = true }]
`);
  const server = await startServer(directory, { VAPORA_LOG: 'warn' });
  const start = async (id: string) => {
    const answer = await fetch(`${server.url}/api/v1/instances`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ workflow: 'gate', id }),
    });
    expect(answer.status).toBe(201);
  };
  for (let first = 0; first < COUNT; first += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => start(`i${first + index}`)));
  }
  const run = (words: readonly string[], store?: string) =>
    spawnSync(process.execPath, [VAPORA, ...words], {
      cwd: directory,
      encoding: 'utf8',
      env: { ...process.env, ...(store === undefined ? {} : { VAPORA_STORE: store }) },
    });
  // the command finds the server; what goes on meanwhile does not disturb it
  const making = spawn(process.execPath, [VAPORA, 'backup', 'now.backup', '--json'], { cwd: directory });
  let made = '';
  making.stdout.on('data', (chunk: Buffer) => {
    made += chunk.toString();
  });
  const exited = new Promise((resolve) => making.on('exit', resolve));
  for (let late = 0; late < 20; late += 1) await start(`late${late}`);
  expect(await exited).toBe(0);
  const { instances } = JSON.parse(made);
  expect(instances).toBeGreaterThanOrEqual(COUNT);
  expect(await server.end()).toBe(0);

  const restored = `rocksdb://${join(directory, 'restored')}`;
  for (const turns of [0, 40, 400]) {
    const child = spawn(process.execPath, [VAPORA, 'restore', 'now.backup'], {
      cwd: directory,
      stdio: 'ignore',
      env: { ...process.env, VAPORA_STORE: restored },
    });
    const gone = new Promise((resolve) => child.on('exit', resolve));
    while (!existsSync(join(directory, 'restored')) && child.exitCode === null)
      await new Promise(setImmediate);
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
    child.kill('SIGKILL');
    await gone;
  }
  const last = run(['restore', 'now.backup', '--json'], restored);
  // the last of those that were killed may have come to its end
  if (last.status !== 0) expect(last.stderr).toContain('holds something already');
  const verified = run(['audit', 'verify', '--all'], restored);
  expect([verified.status, verified.stdout.trim().split('\n').at(-1)]).toEqual([
    0,
    `${instances} instances verified, 0 broken`,
  ]);
  expect(run(['approve', 'i7', 'a', '--json'], restored).status).toBe(0);
  expect(run(['restore', 'now.backup'], restored).stderr).toContain('holds something already');
  expect(
    execFileSync(process.execPath, [VAPORA, 'show', 'i7'], { cwd: directory, encoding: 'utf8' }),
  ).toContain('waiting');
});
