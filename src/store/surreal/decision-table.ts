/** Decisions of the authorizer, a batch a row. */
import { BoundExcluded, BoundIncluded, type RecordId, RecordIdRange } from 'surrealdb';
import type { RecordedDecision } from '../../core/decision-log.js';
import type { Database } from './database.js';

const TABLE = 'decisions';
/** Read at once. */
const SPAN_MS = 600_000;

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
    const [first, last] = await this.#db.run(
      `SELECT VALUE id FROM ${TABLE} ORDER BY id LIMIT 1; SELECT VALUE id FROM ${TABLE} ORDER BY id DESC LIMIT 1`,
    );
    const end = timeOf(last) ?? -1;
    // a span of time at a time: the database reads a range of ids to its end, whatever the limit
    for (let from = Math.max(since, timeOf(first) ?? 0); from <= end; from += SPAN_MS) {
      const [bodies] = await this.#db.run('SELECT VALUE body FROM $range', {
        range: rangeOf(from, from + SPAN_MS),
      });
      for (const body of bodies as readonly string[]) {
        const decisions = JSON.parse(body) as readonly RecordedDecision[];
        yield decisions.filter(({ at }) => at >= since);
      }
    }
  }

  async drop(before: number): Promise<void> {
    await this.#write(async () => {
      await this.#db.run('DELETE $range RETURN NONE', { range: rangeOf(0, before) });
    });
  }
}

/** `until` exclusive. */
function rangeOf(from: number, until: number): RecordIdRange {
  return new RecordIdRange(TABLE, new BoundIncluded([from]), new BoundExcluded([until]));
}

/** Of the only row; null: there is none. */
function timeOf(rows: unknown): number | null {
  const [row] = rows as readonly RecordId[];
  return row === undefined ? null : Number((row.id as unknown[])[0]);
}
