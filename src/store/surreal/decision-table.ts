/** Decisions of the authorizer, a batch a row. */
import { BoundExcluded, BoundIncluded, type RecordId, RecordIdRange } from 'surrealdb';
import type { RecordedDecision } from '../../core/decision-log.js';
import type { Database } from './database.js';

const TABLE = 'decisions';
const PAGE = 16;

export class DecisionTable {
  readonly #db: Database;
  readonly #write: (work: () => Promise<void>) => Promise<void>;
  /** Keeps rows of one moment apart, those of an earlier process included. */
  readonly #unique: string;
  #number = 0;

  constructor(db: Database, unique: string, write: (work: () => Promise<void>) => Promise<void>) {
    this.#db = db;
    this.#unique = unique;
    this.#write = write;
  }

  async save(decisions: readonly RecordedDecision[]): Promise<void> {
    const last = decisions.at(-1);
    if (last === undefined) return;
    this.#number += 1;
    const rows = [{ id: [last.at, this.#unique, this.#number], body: JSON.stringify(decisions) }];
    await this.#write(async () => {
      await this.#db.run(`INSERT IGNORE INTO ${TABLE} $rows RETURN NONE`, { rows });
    });
  }

  async *load(since: number): AsyncGenerator<readonly RecordedDecision[]> {
    const end = new BoundIncluded([Number.MAX_SAFE_INTEGER]);
    let from: BoundIncluded<unknown[]> | BoundExcluded<unknown[]> = new BoundIncluded([since]);
    for (;;) {
      const [found] = await this.#db.run(`SELECT * FROM $range LIMIT ${PAGE}`, {
        range: new RecordIdRange(TABLE, from, end),
      });
      const rows = found as readonly { id: RecordId; body: string }[];
      for (const { body } of rows) {
        const decisions = JSON.parse(body) as readonly RecordedDecision[];
        yield decisions.filter(({ at }) => at >= since);
      }
      const last = rows.at(-1)?.id.id;
      if (rows.length < PAGE || !Array.isArray(last)) return;
      from = new BoundExcluded(last);
    }
  }

  async drop(before: number): Promise<void> {
    const range = new RecordIdRange(TABLE, new BoundIncluded([0]), new BoundExcluded([before]));
    await this.#write(async () => {
      await this.#db.run('DELETE $range RETURN NONE', { range });
    });
  }
}
