/** Connects to an embedded engine or a server, and hides what is peculiar about closing and reopening one. */

import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { type Engines, Surreal } from 'surrealdb';
import { VaporaError } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
import { type Database, databaseOf } from './database.js';
import { messageOf } from './fault.js';
import { acquireLock, type FileLock } from './lock.js';
import { openFailure, withinLimit } from './opening.js';
import { openServer } from './server.js';
import { type FileEngine, parseStoreUrl, type StoreUrl } from './url.js';

const NAMESPACE = 'vapora';

const MIB = 1024 * 1024;
/**
 * The embedded engine reads these from the environment, where whatever is set already stands.
 *
 * By itself it takes half of the machine's memory for blocks that it has read, and keeps up to a gigabyte of what it has written. The
 * first three bound both, and with the latter the log that it reads again on opening.
 *
 * INVARIANT: the cache is larger than two write buffers. The engine stops writing, for ever, once its buffers take as much as all that
 * there may be and the cache together (here 3 × 16 + 64 MiB). It keeps as many written ones as there may be, to find conflicts, the one
 * that is written to, and one more in between: 5 × 16 MiB.
 *
 * Histories and states are kept compressed in files of their own, where merging the tables does not write them again.
 */
const ENGINE_SETTINGS: Readonly<Record<string, string | number>> = {
  SURREAL_ROCKSDB_BLOCK_CACHE_SIZE: 64 * MIB,
  SURREAL_ROCKSDB_WRITE_BUFFER_SIZE: 16 * MIB,
  SURREAL_ROCKSDB_MAX_WRITE_BUFFER_NUMBER: 3,
  SURREAL_ROCKSDB_MIN_BLOB_SIZE: 1024,
  SURREAL_ROCKSDB_BLOB_COMPRESSION_TYPE: 'lz4',
};

interface Parked {
  readonly surreal: Surreal;
  isInUse: boolean;
}

/**
 * The engines never let go of a directory before the process ends, even when closed, and opening it twice hangs. So a connection
 * that is closed here is kept, and handed out again. By global symbol, because the package may be loaded twice.
 */
const PARKED = Symbol.for('vapora-workflow-engine.store.connections');

function parkedConnections(): Map<string, Parked> {
  const holder = globalThis as { [PARKED]?: Map<string, Parked> };
  holder[PARKED] ??= new Map();
  return holder[PARKED];
}

/**
 * Throws `store_locked`, `store_engine_mismatch`, `store_unreadable`, `store_full`, `config_invalid`. The process's lock on a
 * directory is held until the process ends, because the engine's is.
 */
export async function openDatabase(url: string, clock: Clock): Promise<Database> {
  const target = parseStoreUrl(url);
  if (target.kind === 'server') return openServer(target, clock);
  if (target.kind === 'memory' && target.name === '') {
    const surreal = await openEngine('mem://', 'in memory', clock);
    return databaseOf(surreal, 'in memory', {
      isEmbedded: true,
      close: () => surreal.close().then(() => undefined),
    });
  }
  const key = target.kind === 'memory' ? `mem://${target.name}` : target.path;
  const parked = parkedConnections().get(key);
  if (parked?.isInUse === true) {
    throw new VaporaError('store_locked', `the store at \`${key}\` is already open in this process`, {
      hint: 'close it before opening it again',
    });
  }
  const place = target.kind === 'memory' ? 'in memory' : `at \`${target.path}\``;
  if (target.kind === 'file' && parked !== undefined) await checkEngine(target.engine, target.path);
  const entry = parked ?? { surreal: await openLocal(target, place, clock), isInUse: true };
  entry.isInUse = true;
  parkedConnections().set(key, entry);
  return databaseOf(entry.surreal, place, {
    isEmbedded: true,
    close: async () => {
      entry.isInUse = false;
    },
  });
}

async function openLocal(
  target: Exclude<StoreUrl, { kind: 'server' }>,
  place: string,
  clock: Clock,
): Promise<Surreal> {
  if (target.kind === 'memory') return openEngine('mem://', place, clock);
  await mkdir(dirname(target.path), { recursive: true }).catch((error: unknown) => {
    throw openFailure(error, place);
  });
  const lock: FileLock = await acquireLock(target.path, clock);
  try {
    await checkEngine(target.engine, target.path);
    return await openEngine(`${target.engine}://${target.path}`, place, clock);
  } catch (error) {
    lock.release();
    throw openFailure(error, place);
  }
}

/** Opening a directory with the other engine can end the process, so what is in it is known before. */
async function checkEngine(engine: FileEngine, path: string): Promise<void> {
  const marker = `${path}.engine`;
  const marked = (await readFile(marker, 'utf8').catch(() => '')).trim();
  const found = marked === '' ? await detectEngine(path) : marked;
  if (found !== null && found !== engine) {
    throw new VaporaError('store_engine_mismatch', `the store at \`${path}\` was written by \`${found}\``, {
      hint: `open it as \`${found}://${path}\`, or give \`${engine}\` another directory`,
    });
  }
  if (marked === '') await writeFile(marker, `${engine}\n`);
}

/** Null: there is nothing yet. */
async function detectEngine(path: string): Promise<FileEngine | null> {
  const info = await stat(path).catch(() => null);
  if (info === null) return null;
  if (!info.isDirectory()) throw notADatabase(path);
  const names = await readdir(path);
  if (names.length === 0) return null;
  if (names.includes('CURRENT') || names.includes('IDENTITY')) return 'rocksdb';
  if (names.includes('sstables') || names.includes('wal')) return 'surrealkv';
  throw notADatabase(path);
}

function notADatabase(path: string): VaporaError {
  return new VaporaError('store_unreadable', `\`${path}\` is there and is not a database`, {
    hint: 'give the store a directory of its own',
  });
}

async function openEngine(url: string, place: string, clock: Clock): Promise<Surreal> {
  for (const [name, value] of Object.entries(ENGINE_SETTINGS)) process.env[name] ??= String(value);
  const { createNodeEngines } = await import('@surrealdb/node').catch((error: unknown) => {
    throw new VaporaError('store_unreadable', `the embedded engine is not installed: ${messageOf(error)}`, {
      hint: 'install `@surrealdb/node`, or use a server by `ws://`',
      cause: error,
    });
  });
  releaseEventLoop();
  let onError: (error: Error) => void = () => undefined;
  const surreal = new Surreal({ engines: heardEngines(createNodeEngines(), (error) => onError(error)) });
  const broken = new Promise<never>((_, reject) => {
    onError = reject;
  });
  await withinLimit(place, clock, async () => {
    await Promise.race([surreal.connect(url), broken]);
    await surreal.use({ namespace: NAMESPACE, database: NAMESPACE });
    await surreal.query('RETURN 1');
  });
  return surreal;
}

/** An engine that can't open says so to its own listeners only: the driver goes on waiting. */
function heardEngines(engines: Engines, onError: (error: Error) => void): Engines {
  return Object.fromEntries(
    Object.entries(engines).map(([scheme, make]): [string, typeof make] => [
      scheme,
      (context) => {
        const engine = make(context);
        engine.subscribe('error', onError);
        return engine;
      },
    ]),
  );
}

/**
 * The engine's listener for live queries, which we never make, keeps the process alive until the connection is closed; a kept
 * connection would then keep it for ever. So its wait is replaced by one that holds nothing. Where the add-on isn't found the
 * process merely has to end itself.
 */
function releaseEventLoop(): void {
  for (const loaded of Object.values(createRequire(import.meta.url).cache)) {
    const binding: unknown = loaded?.exports;
    if (typeof binding !== 'object' || binding === null || !('NotificationReceiver' in binding)) continue;
    const receiver = binding.NotificationReceiver;
    if (typeof receiver === 'function') receiver.prototype.recv = () => new Promise(() => undefined);
  }
}
