import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { realClock, until } from '../transport/attempt.suite.js';
import { makeBench, processesWith, startCommand } from './command.suite.js';
import { removeStaleWorkdirs } from './command-task.js';
import { endMarked, endOrphans, MARK_VARIABLE, markChain, newMark } from './process-marks.js';

const nap = (number: number) => `3${process.pid}.${number}2`;

/** A process as an engine leaves it behind: in a group of its own, with the mark of an engine that is no more. */
function leave(mark: string, script: string): void {
  const env = { PATH: process.env.PATH, [MARK_VARIABLE]: mark };
  spawn('/bin/sh', ['-c', script], { detached: true, stdio: 'ignore', env }).unref();
}

/** The mark that an engine before this one would have given. */
function markOfBefore(owner: string): string {
  const [prefix = ''] = newMark(owner).split('.');
  return `${prefix}.00000000-0000-4000-8000-000000000000.1`;
}

describe('orphans of an engine that was killed', () => {
  it('are ended, wherever they hid, and counted', async () => {
    const owner = `store-${process.pid}`;
    leave(markOfBefore(owner), `trap '' TERM; setsid sleep ${nap(1)} & sleep ${nap(1)}; true`);
    await until(() => processesWith(`sleep\0${nap(1)}`).length === 2);
    expect(await endOrphans(owner, realClock)).toBe(3);
    expect(processesWith(nap(1))).toEqual([]);
    expect(await endOrphans(owner, realClock)).toBe(0);
  });

  it('are told apart from those of other engines and from tasks of this one', async () => {
    const owner = `mine-${process.pid}`;
    const theirs = `theirs-${process.pid}`;
    leave(markOfBefore(theirs), `exec sleep ${nap(2)}`);
    const mine = newMark(owner);
    leave(mine, `exec sleep ${nap(2)}`);
    await until(() => processesWith(`sleep\0${nap(2)}`).length === 2);
    expect(await endOrphans(owner, realClock)).toBe(0);
    expect(processesWith(nap(2))).toHaveLength(2);
    expect(await endMarked(mine, realClock)).toBe(1);
    expect(await endOrphans(theirs, realClock)).toBe(1);
    expect(processesWith(nap(2))).toEqual([]);
  });

  it('are found below an engine that itself ran in a task', async () => {
    const owner = `outer-${process.pid}`;
    leave(markChain(newMark('inner'), markOfBefore(owner)), `exec sleep ${nap(3)}`);
    await until(() => processesWith(nap(3)).length === 1);
    expect(await endOrphans(owner, realClock)).toBe(1);
    expect(markChain('a', undefined)).toBe('a');
  });

  it('are left by a real kill -9 of the engine and found by the next one', async () => {
    const bench = await makeBench();
    const owner = `killed-${process.pid}`;
    // stands for the engine: gives a child its mark as the runner does, in another process than this one
    const engine = spawn(
      process.execPath,
      [
        '-e',
        `require('node:child_process').spawn('/bin/sh', ['-c', 'setsid sleep ${nap(4)} & sleep ${nap(4)}'],
           { detached: true, stdio: 'ignore', env: { PATH: process.env.PATH, ${MARK_VARIABLE}: process.argv[1] } });
         setInterval(() => {}, 1000);`,
        markOfBefore(owner),
      ],
      { stdio: 'ignore' },
    );
    await until(() => processesWith(`sleep\0${nap(4)}`).length === 2);
    engine.kill('SIGKILL');
    await once(engine, 'exit');
    expect(processesWith(`sleep\0${nap(4)}`)).toHaveLength(2);
    expect(await endOrphans(owner, realClock)).toBe(3);
    expect(processesWith(`sleep\0${nap(4)}`)).toEqual([]);
    await mkdir(join(bench.workRoot, 'vapora-task-x'));
    await writeFile(join(bench.workRoot, 'vapora-task-x', 'f'), 'stale');
    await writeFile(join(bench.workRoot, 'other'), 'kept');
    await removeStaleWorkdirs(bench.workRoot);
    await removeStaleWorkdirs(join(bench.workRoot, 'not there'));
    expect(await readdir(bench.workRoot)).toEqual(['other']);
  });

  it('do not include what this engine has running', async () => {
    const bench = await makeBench();
    const { transport } = startCommand(bench, ['/bin/sleep', nap(5)]);
    await until(() => processesWith(nap(5)).length === 1);
    expect(await endOrphans(`tests-${process.pid}`, realClock)).toBe(0);
    expect(processesWith(nap(5))).toHaveLength(1);
    await transport.close();
    expect(processesWith(nap(5))).toEqual([]);
  });
});
