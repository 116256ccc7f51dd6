/** What commits have charged, a row an hour and workflow. It is added to in the transaction of the commits themselves. */
import { BoundExcluded, BoundIncluded, type RecordId, RecordIdRange } from 'surrealdb';
import { type Charge, NOTHING_SPENT, sum } from '../../core/budget.js';
import type { Database } from './database.js';

const TABLE = 'charges';
const END = Number.MAX_SAFE_INTEGER;

/** Adds `$charges`, of which each row is there once. */
export const ADD_CHARGES = `INSERT INTO ${TABLE} $charges ON DUPLICATE KEY UPDATE
  tokens += $input.tokens, micro_usd += $input.micro_usd, ms += $input.ms RETURN NONE;`;

interface ChargeRow {
  readonly id: RecordId;
  readonly tokens: number;
  readonly micro_usd: number;
  readonly ms: number;
}

export function chargeRows(charges: readonly Charge[]): Record<string, unknown>[] {
  const rows = new Map<string, Charge>();
  for (const charge of charges) {
    const key = `${charge.hour} ${charge.workflow}`;
    rows.set(key, { ...charge, spent: sum(rows.get(key)?.spent ?? NOTHING_SPENT, charge.spent) });
  }
  return [...rows.values()].map(({ hour, workflow, spent: { tokens, microUsd, ms } }) => ({
    id: [hour, workflow],
    tokens,
    micro_usd: microUsd,
    ms,
  }));
}

export class ChargeTable {
  readonly #db: Database;
  readonly #write: (work: () => Promise<void>) => Promise<void>;

  constructor(db: Database, write: (work: () => Promise<void>) => Promise<void>) {
    this.#db = db;
    this.#write = write;
  }

  async load(since: number): Promise<readonly Charge[]> {
    const range = new RecordIdRange(TABLE, new BoundIncluded([since]), new BoundIncluded([END]));
    const [found] = await this.#db.run('SELECT * FROM $range', { range });
    return (found as readonly ChargeRow[]).map(({ id, tokens, micro_usd: microUsd, ms }) => {
      const [hour, workflow] = id.id as [number, string];
      return { hour: Number(hour), workflow, spent: { tokens, microUsd, ms } };
    });
  }

  async drop(before: number): Promise<void> {
    const range = new RecordIdRange(TABLE, new BoundIncluded([0]), new BoundExcluded([before]));
    await this.#write(async () => {
      await this.#db.run('DELETE $range RETURN NONE', { range });
    });
  }
}
