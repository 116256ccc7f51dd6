/**
 * Finding the processes of a task, wherever they hid. Every process of a task carries a mark in its environment, which its
 * descendants inherit even when they leave its process group or session. Looked up in `/proc`; elsewhere than on Linux nothing is
 * found. A process that cleared its environment before it left the group can't be found.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import type { Clock } from '../core/ports.js';
import { delay } from './delay.js';

export const MARK_VARIABLE = 'VAPORA_TASK_MARKER';
/** Tells this process's tasks from those of an engine of the same owner that is no more. */
const ENGINE_RUN = randomUUID();
/** Bits of `flags` in /proc/<pid>/stat. */
const PF_KTHREAD = 0x0020_0000;
const MAX_PASSES = 3;
const READS_AT_ONCE = 16;
/** Killed processes are gone within milliseconds, unless they hang in the kernel. */
const MAX_KILL_ROUNDS = 200;
const KILL_ROUND_MS = 10;

/** A new mark for one attempt of the engine that `owner` names. */
export function newMark(owner: string): string {
  return `${ownerPrefix(owner)}${ENGINE_RUN}.${randomUUID()}`;
}

/** The variable's value: an engine may itself run inside a task of another, whose mark then goes first. */
export function markChain(mark: string, inherited: string | undefined): string {
  return inherited ? `${inherited} ${mark}` : mark;
}

/** Kills every process that carries the mark and resolves with their number once they are gone. */
export function endMarked(mark: string, clock: Clock): Promise<number> {
  return endAll(() => findMarked((found) => found === mark), clock);
}

/**
 * Ends what an earlier engine of the same owner left running when it was killed: call it before the first task is dispatched.
 * Resolves with the number of processes once they are gone. `owner` must be unique to one running engine, e.g. its store's path.
 */
export async function endOrphans(owner: string, clock: Clock): Promise<number> {
  const prefix = ownerPrefix(owner);
  const isOrphan = (mark: string) => mark.startsWith(prefix) && !mark.startsWith(prefix + ENGINE_RUN);
  return endAll(() => findMarked(isOrphan), clock);
}

/** Kills, in one look and without waiting, every process of this engine's tasks: for a process that is about to end. */
export function killAllNow(): void {
  if (process.platform !== 'linux') return;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const marks = marksIn(readFileSync(`/proc/${name}/environ`, 'latin1'));
      if (marks.some((mark) => mark.includes(`.${ENGINE_RUN}.`))) sendSignal(Number(name), 'SIGKILL');
    } catch {
      // gone meanwhile, or another user's
    }
  }
}

function ownerPrefix(owner: string): string {
  return `${createHash('sha256').update(owner).digest('hex').slice(0, 32)}.`;
}

/** Kills what `find` answers, this process and those that started it excepted, until it answers nothing more. */
export async function endAll(find: () => Promise<readonly number[]>, clock: Clock): Promise<number> {
  if (process.platform !== 'linux') return 0;
  const killed = new Set<number>();
  const spared = await selfAndAncestors();
  for (let round = 0; round < MAX_KILL_ROUNDS; round++) {
    const found = (await find()).filter((pid) => !spared.has(pid));
    if (found.length === 0) break;
    for (const pid of found) {
      killed.add(pid);
      sendSignal(pid, 'SIGKILL');
    }
    await delay(clock, KILL_ROUND_MS);
  }
  return killed.size;
}

/** To a process, or to a group where `pid` is negative. Whether there was somebody to get it. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    // ESRCH: gone already. EPERM: it became another user's, there is nothing more we can do
    return false;
  }
}

interface Marked {
  readonly pid: number;
  readonly marks: readonly string[];
}

interface Snapshot {
  readonly marked: readonly Marked[];
  /** False where a process vanished or changed its program meanwhile: it may have left a child behind that was not seen. */
  readonly isCertain: boolean;
}

async function findMarked(isMeant: (mark: string) => boolean): Promise<number[]> {
  for (let pass = 1; ; pass++) {
    const { marked, isCertain } = await nextSnapshot();
    const found = marked.filter(({ marks }) => marks.some(isMeant)).map(({ pid }) => pid);
    if (found.length > 0 || isCertain || pass === MAX_PASSES) return found;
  }
}

let underWay: Promise<unknown> = Promise.resolve();
let upcoming: Promise<Snapshot> | null = null;

/** A snapshot that begins after this call. Tasks that end at the same time share one: it reads all of `/proc`. */
function nextSnapshot(): Promise<Snapshot> {
  if (upcoming !== null) return upcoming;
  const mine = underWay.then(() => {
    upcoming = null;
    return takeSnapshot();
  });
  upcoming = mine;
  underWay = mine;
  return mine;
}

async function takeSnapshot(): Promise<Snapshot> {
  const pids = (await readdir('/proc').catch((): string[] => []))
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const marked: Marked[] = [];
  let isCertain = true;
  const reader = async () => {
    for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) {
      const marks = await marksOf(pid);
      if (marks === null) isCertain = false;
      else if (marks.length > 0) marked.push({ pid, marks });
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, reader));
  return { marked, isCertain };
}

/** Null: it is not certain. */
async function marksOf(pid: number): Promise<readonly string[] | null> {
  const environ = await readProc(pid, 'environ');
  if (environ === 'gone') return null;
  if (environ === '') return (await hasNoEnvironment(pid)) ? [] : null;
  return marksIn(environ);
}

function marksIn(environ: string): readonly string[] {
  const at = `\0${environ}`.indexOf(`\0${MARK_VARIABLE}=`);
  if (at < 0) return [];
  const value = environ.slice(at + MARK_VARIABLE.length + 1).split('\0', 1)[0] ?? '';
  return value.split(' ');
}

/** A kernel thread or a zombie; anything else with an empty environment may be about to start another program. */
async function hasNoEnvironment(pid: number): Promise<boolean> {
  const stat = await readProc(pid, 'stat');
  // the command's name, in parentheses, may contain anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' || (Number(fields[6]) & PF_KTHREAD) !== 0;
}

async function readProc(pid: number, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'latin1');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    // another user's process is none of ours
    return code === 'EACCES' || code === 'EPERM' ? '-' : 'gone';
  }
}

/** An engine that was itself started by an orphan must not end itself. */
async function selfAndAncestors(): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  for (let pid = process.pid; pid > 1 && !found.has(pid); ) {
    found.add(pid);
    const stat = await readProc(pid, 'stat');
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
  }
  return found;
}
