import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, realpath, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { realClock, until } from '../transport/attempt.suite.js';
import { processesWith } from './command.suite.js';
import { endHolders, holdRunFile } from './run-file.js';

let directory: string;
let runFile: string;
let nap: string;
let naps = 0;
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'vapora-test-')));
  runFile = join(directory, 'work', 'engine.run');
  nap = `3${process.pid}.${++naps}7`;
});

/** What a process is between fork and exec: without a mark, with what its engine has open. It names the nap on its command line. */
async function leaveCopy(path: string): Promise<void> {
  const script = 'require("node:fs").openSync(process.argv[1], "a"); setInterval(() => {}, 1000)';
  spawn(process.execPath, ['-e', script, path, nap], { detached: true, stdio: 'ignore' }).unref();
  await until(() => processesWith(nap).length === 1);
}

async function untilHeld(): Promise<void> {
  for (let found = 0; found === 0; ) {
    const holders = processesWith(nap).filter((pid) => openFilesOf(pid).includes(runFile));
    found = holders.length;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function openFilesOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`));
  } catch {
    return [];
  }
}

describe('the file that a running engine keeps open', () => {
  it('gives away a copy of a killed engine that was about to become a command', async () => {
    (await holdRunFile(runFile))();
    // as an engine leaves it that was killed
    await writeFile(runFile, '1\n');
    await leaveCopy(runFile);
    await untilHeld();
    expect(await endHolders(runFile, realClock)).toBe(1);
    expect(processesWith(nap)).toEqual([]);
  });

  it('is found by another way to it as well', async () => {
    (await holdRunFile(runFile))();
    await writeFile(runFile, '1\n');
    await symlink(join(directory, 'work'), join(directory, 'link'));
    await leaveCopy(runFile);
    await untilHeld();
    expect(await endHolders(join(directory, 'link', 'engine.run'), realClock)).toBe(1);
  });

  it('is not handed on to commands, and this process is spared', async () => {
    const letGo = await holdRunFile(runFile);
    const child = spawn('/bin/sleep', [nap], { detached: true, stdio: 'ignore' });
    await once(child, 'spawn');
    expect(await endHolders(runFile, realClock)).toBe(0);
    expect(processesWith(nap)).toHaveLength(1);
    child.kill('SIGKILL');
    letGo();
  });

  it('is empty after an orderly end, and nobody is looked for then', async () => {
    const letGo = await holdRunFile(runFile);
    expect(readFileSync(runFile, 'utf8')).toBe(`${process.pid}\n`);
    letGo();
    letGo();
    expect(readFileSync(runFile, 'utf8')).toBe('');
    await leaveCopy(runFile);
    await untilHeld();
    expect(await endHolders(runFile, realClock)).toBe(0);
    for (const pid of processesWith(nap)) process.kill(pid, 'SIGKILL');
  });

  it('need not be there', async () => {
    expect(await endHolders(join(directory, 'nothing'), realClock)).toBe(0);
  });

  it('that can not be made is an error that says so', async () => {
    await writeFile(join(directory, 'work'), 'a file');
    await expect(holdRunFile(runFile)).rejects.toMatchObject({ code: 'store_unreadable' });
  });
});
