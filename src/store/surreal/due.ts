/** Reads of instances by when they have to be woken. */
import type { Digest } from '../../core/names.js';
import type { StoredInstance } from '../../core/ports.js';
import type { Database } from './database.js';
import { INSTANCES, storedOf, timeText, wakeId, wakeTime } from './rows.js';

type DueRow = readonly [wake: string, head: Digest, state: string | undefined];

const WAKE_INDEX = `${INSTANCES}_wake`;
export const DUE_BATCH = 500;

/**
 * Instances by when they have to be woken, `after` exclusive, `until` inclusive. `isNewer` tells those that are known better than by
 * their row.
 */
export async function* loadDueRows(
  db: Database,
  after: number,
  until: number,
  isNewer: (id: string) => boolean,
): AsyncGenerator<readonly StoredInstance[]> {
  const read = (from: string): Promise<readonly unknown[]> => {
    const rows = db.run(
      `SELECT VALUE [wake, head, state] FROM ${INSTANCES} WITH INDEX ${WAKE_INDEX} WHERE wake > $from AND wake < $to LIMIT ${DUE_BATCH}`,
      { from, to: timeText(until + 1) },
    );
    // awaited in the next round, and not to be taken for unhandled until then
    rows.catch(() => undefined);
    return rows;
  };
  // while one batch is being woken the engine reads the next
  let next: Promise<readonly unknown[]> | null = read(timeText(after + 1));
  while (next !== null) {
    const [found] = await next;
    const rows = found as readonly DueRow[];
    const [last] = rows.at(-1) ?? [];
    next = last === undefined || rows.length < DUE_BATCH ? null : read(last);
    // what has to be woken has not ended, so its state is in its row
    const batch = rows
      .filter(([wake]) => !isNewer(wakeId(wake)))
      .map(([, head, state]) => storedOf(head, state, db.place));
    if (batch.length > 0) yield batch;
  }
}

export async function nextWakeRow(db: Database, after: number): Promise<number | null> {
  const [found] = await db.run(
    `SELECT VALUE wake FROM ${INSTANCES} WITH INDEX ${WAKE_INDEX} WHERE wake > $from AND wake < $to LIMIT 1`,
    { from: timeText(after + 1), to: timeText(Number.MAX_SAFE_INTEGER) },
  );
  const [wake] = found as readonly string[];
  return wake === undefined ? null : wakeTime(wake);
}
