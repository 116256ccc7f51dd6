/** Numbered migrations, one direction. Each one's own transaction records it, so two engines can't apply one twice. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { RecordId } from 'surrealdb';
import { VaporaError } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
import type { Database } from './database.js';
import { isConflict, storeFailure } from './fault.js';

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  readonly statements: string;
}

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
}

const FILE = /^(\d{4})-([a-z0-9-]+)\.surql$/;
const MAX_TRIES = 5;
const BOOTSTRAP = `
  DEFINE TABLE IF NOT EXISTS migrations SCHEMAFULL;
  DEFINE FIELD IF NOT EXISTS number ON migrations TYPE int;
  DEFINE FIELD IF NOT EXISTS name ON migrations TYPE string;
  DEFINE FIELD IF NOT EXISTS sha256 ON migrations TYPE string;
  DEFINE FIELD IF NOT EXISTS at ON migrations TYPE int`;

/**
 * Brings the database to this version. Throws `store_newer` where a later version has been here, and `store_unreadable` where a
 * migration that was applied is not the one that we know.
 */
export async function migrate(db: Database, clock: Clock): Promise<void> {
  const known = await readMigrations();
  for (let tries = 1; ; tries += 1) {
    try {
      await db.run(BOOTSTRAP);
      for (const migration of pending(await readApplied(db), known, db.place))
        await apply(db, migration, clock);
      return;
    } catch (error) {
      if (error instanceof VaporaError) throw error;
      // another engine is migrating at this moment: what it has done is seen on the next look
      const isRace = isConflict(error) || /already (exists|contains)/i.test(String(error));
      if (!isRace || tries === MAX_TRIES) throw storeFailure(error, db.place);
    }
  }
}

async function readMigrations(): Promise<Migration[]> {
  const directory = new URL('./migrations/', import.meta.url);
  const found: Migration[] = [];
  for (const file of (await readdir(directory)).sort()) {
    const [, number, name] = FILE.exec(file) ?? [];
    if (number === undefined || name === undefined) continue;
    const statements = await readFile(new URL(file, directory), 'utf8');
    const sha256 = createHash('sha256').update(statements).digest('hex');
    found.push({ number: Number(number), name, sha256, statements });
  }
  return found;
}

async function readApplied(db: Database): Promise<Applied[]> {
  const [rows] = await db.run('SELECT number, name, sha256 FROM migrations ORDER BY number');
  return rows as Applied[];
}

function pending(
  applied: readonly Applied[],
  known: readonly Migration[],
  place: string,
): readonly Migration[] {
  const newest = known.at(-1)?.number ?? 0;
  for (const { number, name, sha256 } of applied) {
    if (number > newest) {
      throw new VaporaError(
        'store_newer',
        `the store ${place} was written by a newer version (migration ${number})`,
        {
          hint: 'install that version or a later one; nothing was changed',
        },
      );
    }
    if (known.find((migration) => migration.number === number)?.sha256 !== sha256) {
      throw new VaporaError(
        'store_unreadable',
        `migration ${number} (\`${name}\`) of the store ${place} is not the one that this version knows`,
        { hint: 'the store was written by a changed or unreleased version' },
      );
    }
  }
  const done = new Set(applied.map((row) => row.number));
  return known.filter((migration) => !done.has(migration.number));
}

async function apply(db: Database, migration: Migration, clock: Clock): Promise<void> {
  const { number, name, sha256, statements } = migration;
  await db.run(`BEGIN; CREATE $record CONTENT $content RETURN NONE; ${statements}; COMMIT`, {
    record: new RecordId('migrations', number),
    content: { number, name, sha256, at: clock.now() },
  });
}
