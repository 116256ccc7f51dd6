/** API tokens: few rows, written seldom. */
import { RecordId } from 'surrealdb';
import type { ApiToken } from '../../core/identities.js';
import { CHECK_FENCE, type Session, sessionValues } from './commit-queue.js';
import type { Database } from './database.js';

const TABLE = 'api_tokens';

export class TokenTable {
  readonly #db: Database;
  readonly #session: Session;
  readonly #write: (work: () => Promise<void>) => Promise<void>;

  /** `write` carries out a write that may be repeated, and fails as the store fails. */
  constructor(db: Database, session: Session, write: (work: () => Promise<void>) => Promise<void>) {
    this.#db = db;
    this.#session = session;
    this.#write = write;
  }

  async load(): Promise<readonly ApiToken[]> {
    const [bodies] = await this.#db.run(`SELECT VALUE body FROM ${TABLE}`);
    return (bodies as readonly string[]).map((body) => JSON.parse(body) as ApiToken);
  }

  async save(token: ApiToken): Promise<void> {
    const values = {
      ...sessionValues(this.#session),
      row: new RecordId(TABLE, token.id),
      body: JSON.stringify(token),
    };
    await this.#write(async () => {
      await this.#db.run(
        `BEGIN; ${CHECK_FENCE} UPSERT $row CONTENT { body: $body } RETURN NONE; COMMIT`,
        values,
      );
    });
  }
}
