/** Few rows, written seldom, read all at once: a key and JSON text. */
import { RecordId } from 'surrealdb';
import { CHECK_FENCE, type Session, sessionValues } from './commit-queue.js';
import type { Database } from './database.js';

export class BodyTable<T> {
  readonly #name: string;
  readonly #keyOf: (item: T) => string;
  readonly #parts: BodyTableParts;

  constructor(name: string, keyOf: (item: T) => string, parts: BodyTableParts) {
    this.#name = name;
    this.#keyOf = keyOf;
    this.#parts = parts;
  }

  async load(): Promise<readonly T[]> {
    const [bodies] = await this.#parts.db.run(`SELECT VALUE body FROM ${this.#name}`);
    return (bodies as readonly string[]).map((body) => JSON.parse(body) as T);
  }

  /** In place of what had the same key. */
  async save(item: T): Promise<void> {
    const { db, session, write } = this.#parts;
    const values = {
      ...sessionValues(session),
      row: new RecordId(this.#name, this.#keyOf(item)),
      body: JSON.stringify(item),
    };
    await write(async () => {
      await db.run(`BEGIN; ${CHECK_FENCE} UPSERT $row CONTENT { body: $body } RETURN NONE; COMMIT`, values);
    });
  }
}

export interface BodyTableParts {
  readonly db: Database;
  readonly session: Session;
  /** Carries out a write that may be repeated, and fails as the store fails. */
  readonly write: (work: () => Promise<void>) => Promise<void>;
}
