/**
 * One process for one data directory. The engines' own locks make a second process hang for ever without a word, so ours is taken
 * first and says who holds it. A lock whose holder is gone is taken over.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { VaporaError } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
import { pause } from './backoff.js';
import { isFull, messageOf } from './fault.js';

export interface LockHolder {
  readonly pid: number;
  /** Of the process, in the kernel's ticks since boot, with the boot's id; null where the system has no `/proc`. */
  readonly started: string | null;
  readonly host: string;
  /** Program and command word: never arguments, which may be secrets. */
  readonly command: string;
  /** ISO 8601. */
  readonly since: string;
  /** Where the holder answers for the store over HTTP; absent: it does not. */
  readonly url?: string;
}

/** Locks of this process, by path. */
const held = new Map<string, { content: string }>();

export interface FileLock {
  /** Lets go at once; otherwise the lock goes with the process. */
  release(): void;
}

const MAX_TRIES = 10;
/** About half a second in all. */
const GRACE_TRIES = 7;
const COMMAND_WORD = /^[a-z][a-z-]{0,30}$/;

export function lockPath(dataPath: string): string {
  return `${dataPath}.lock`;
}

/** Throws `store_locked` naming the holder, `store_full`, `store_unreadable`. */
export async function acquireLock(dataPath: string, clock: Clock): Promise<FileLock> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await tryLock(dataPath, clock.now());
    } catch (error) {
      // a holder that was killed takes a moment to be gone
      const isLocked = error instanceof VaporaError && error.code === 'store_locked';
      if (!isLocked || tries === GRACE_TRIES) throw error;
      await pause(clock, tries);
    }
  }
}

async function tryLock(dataPath: string, now: number): Promise<FileLock> {
  const path = lockPath(dataPath);
  const content = JSON.stringify(describeSelf(now));
  const draft = `${path}.${process.pid}.${randomUUID()}`;
  try {
    await writeFile(draft, content, { flag: 'wx' });
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if (await linkNew(draft, path)) return heldLock(path, content);
      await removeIfStale(path, dataPath);
    }
  } catch (error) {
    throw lockFailure(error, dataPath);
  } finally {
    await rm(draft, { force: true });
  }
  throw new VaporaError('store_locked', `other processes are opening the store at \`${dataPath}\``, {
    hint: 'try again',
  });
}

/** Who holds the lock now; null: nobody alive. */
export async function readHolder(dataPath: string): Promise<LockHolder | null> {
  const text = await readFile(lockPath(dataPath), 'utf8').catch(() => null);
  const holder = text === null ? null : parseHolder(text);
  return holder !== null && isAlive(holder) ? holder : null;
}

function heldLock(path: string, content: string): FileLock {
  const lock = { content };
  held.set(path, lock);
  const release = (): void => {
    process.off('exit', release);
    held.delete(path);
    try {
      if (readFileSync(path, 'utf8') === lock.content) rmSync(path, { force: true });
    } catch {
      // gone already, or no longer reachable: a holder that is dead is taken over anyway
    }
  };
  process.on('exit', release);
  return { release };
}

/**
 * Writes into the lock that this process holds where it answers for the store, so that others find it; null takes it back. What is
 * not locked, such as a store in memory, is left alone.
 */
export async function announceHolder(dataPath: string, url: string | null): Promise<void> {
  const path = lockPath(dataPath);
  const lock = held.get(path);
  if (lock === undefined) return;
  const { url: _, ...holder } = JSON.parse(lock.content) as LockHolder;
  const content = JSON.stringify(url === null ? holder : { ...holder, url });
  const draft = `${path}.${process.pid}.${randomUUID()}`;
  try {
    await writeFile(draft, content, { flag: 'wx' });
    lock.content = content;
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw lockFailure(error, dataPath);
  }
}

async function linkNew(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Renaming makes sure that only one of several processes removes the lock, and that it removes the one it has judged. */
async function removeIfStale(path: string, dataPath: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return;
  const holder = parseHolder(text);
  if (holder !== null && isAlive(holder)) throw lockedBy(holder, dataPath);
  const aside = `${path}.stale.${process.pid}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  const moved = await readFile(aside, 'utf8').catch(() => text);
  if (moved !== text) await linkNew(aside, path);
  await rm(aside, { force: true });
}

function lockedBy(holder: LockHolder, dataPath: string): VaporaError {
  const isSelf = holder.pid === process.pid && holder.host === hostname();
  const who = isSelf
    ? 'this process itself'
    : `process ${holder.pid} (${holder.command}) on \`${holder.host}\``;
  return new VaporaError(
    'store_locked',
    `the store at \`${dataPath}\` is held by ${who} since ${holder.since}`,
    {
      hint: isSelf
        ? 'close the store before opening it again'
        : `end process ${holder.pid} first, or ask the running engine instead; if that host is gone for good, remove \`${lockPath(dataPath)}\``,
    },
  );
}

function lockFailure(error: unknown, dataPath: string): VaporaError {
  if (error instanceof VaporaError) return error;
  if (isFull(error)) {
    return new VaporaError('store_full', `no space is left for the store at \`${dataPath}\``, {
      hint: 'free some space and start again: everything acknowledged is kept',
      cause: error,
    });
  }
  return new VaporaError('store_unreadable', `can't lock the store at \`${dataPath}\`: ${messageOf(error)}`, {
    hint: 'the directory must exist and be writable',
    cause: error,
  });
}

function parseHolder(text: string): LockHolder | null {
  try {
    const holder: unknown = JSON.parse(text);
    if (typeof holder !== 'object' || holder === null || !('pid' in holder)) return null;
    return Number.isSafeInteger(holder.pid) ? (holder as LockHolder) : null;
  } catch {
    // cut off when its writer's disk was full: nobody holds it
    return null;
  }
}

function describeSelf(now: number): LockHolder {
  const [, script = '', word = ''] = process.argv;
  const words = [basename(process.execPath), basename(script), COMMAND_WORD.test(word) ? word : ''];
  return {
    pid: process.pid,
    started: startOf(process.pid),
    host: hostname(),
    command: words.filter((part) => part !== '').join(' '),
    since: new Date(now).toISOString(),
  };
}

function isAlive(holder: LockHolder): boolean {
  // nothing can be known about another machine's processes
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
  }
  const started = startOf(holder.pid);
  if (started === 'ended') return false;
  return started === null || holder.started === null || started === holder.started;
}

/** Process numbers are used again; number and start together are not. `ended`: dead, and only its parent has not noticed yet. */
function startOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // the command in parentheses may itself hold spaces and parentheses
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = ''] = fields;
    if (state === 'Z' || state === 'X') return 'ended';
    return `${boot}:${fields[19] ?? ''}`;
  } catch {
    return null;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
