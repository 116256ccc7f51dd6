/** Marks of triggers: few rows, written seldom. */
import { RecordId } from 'surrealdb';
import type { TriggerMark } from '../../core/ports.js';
import { CHECK_FENCE, type Session, sessionValues } from './commit-queue.js';
import type { Database } from './database.js';

const TABLE = 'trigger_marks';

export class MarkTable {
  readonly #db: Database;
  readonly #session: Session;
  readonly #write: (work: () => Promise<void>) => Promise<void>;

  /** `write` carries out a write that may be repeated, and fails as the store fails. */
  constructor(db: Database, session: Session, write: (work: () => Promise<void>) => Promise<void>) {
    this.#db = db;
    this.#session = session;
    this.#write = write;
  }

  async load(): Promise<readonly TriggerMark[]> {
    const [bodies] = await this.#db.run(`SELECT VALUE body FROM ${TABLE}`);
    return (bodies as readonly string[]).map((body) => JSON.parse(body) as TriggerMark);
  }

  async save(mark: TriggerMark): Promise<void> {
    const values = {
      ...sessionValues(this.#session),
      mark: new RecordId(TABLE, mark.workflow),
      body: JSON.stringify(mark),
    };
    await this.#write(async () => {
      await this.#db.run(
        `BEGIN; ${CHECK_FENCE} UPSERT $mark CONTENT { body: $body } RETURN NONE; COMMIT`,
        values,
      );
    });
  }
}
