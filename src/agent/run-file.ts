/**
 * Finding what has no mark yet. Between fork and exec the process of a command is a copy of its engine, without the environment
 * that will mark it; where the engine is killed in that moment, it goes on and becomes the command. But it has open what its engine
 * has open. So an engine keeps a file open for as long as it may start commands, and the next one ends whoever else has it open.
 * Node opens files so that they close on exec: no command ever has it. The file is empty where its engine has come to an orderly end.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { mkdir, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { describe } from './outcome.js';
import { endAll } from './process-marks.js';

const READS_AT_ONCE = 16;

/** Keeps the file open until the answer is called; makes it where it is not there. Throws `store_unreadable`. */
export async function holdRunFile(path: string): Promise<() => void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(path, 'w', 0o600);
    writeSync(file, `${process.pid}\n`);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      ftruncateSync(file);
      closeSync(file);
    };
  } catch (error) {
    throw new VaporaError('store_unreadable', `can't write \`${path}\`: ${describe(error)}`, {
      hint: 'commands need that directory to be writable',
      cause: error,
    });
  }
}

/**
 * Ends every other process that has the file open: an engine that was killed and is not gone yet, and copies of it that were about to
 * become commands. To be called before orphans are looked for by their marks: what has become a command meanwhile has its mark.
 */
export async function endHolders(path: string, clock: Clock): Promise<number> {
  const found = await stat(path).catch(() => null);
  if (found === null || found.size === 0) return 0;
  const place = await realpath(path);
  return endAll(() => holdersOf(place), clock);
}

async function holdersOf(place: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc').catch((): string[] => []))
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const holders: number[] = [];
  const reader = async () => {
    for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) {
      if (await holds(pid, place)) holders.push(pid);
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, reader));
  return holders;
}

async function holds(pid: number, place: string): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  // unreadable: gone meanwhile, or another user's
  for (const name of await readdir(directory).catch((): string[] => [])) {
    if ((await readlink(`${directory}/${name}`).catch(() => '')) === place) return true;
  }
  return false;
}
