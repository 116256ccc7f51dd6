/** Reads of ended instances and of histories. */
import type { RecordId } from 'surrealdb';
import type { Entry } from '../../core/events.js';
import type { InstanceStatus } from '../../core/instance.js';
import { asInstanceId, type InstanceId } from '../../core/names.js';
import type { EndedInstance, EndedInstances } from '../../core/ports.js';
import { readEntry } from '../chain.js';
import { checkLimit } from '../listing.js';
import type { Database } from './connection.js';
import { HISTORY_ROW_ENTRIES } from './projection.js';
import { historyRange, INSTANCES, instanceId, splitEntries } from './rows.js';

const HISTORY_PAGE = 16;

/** As the port's `ended` says. The times are a range of the index, so that the rest of the table costs nothing. */
export async function listEnded(
  db: Database,
  query: Parameters<EndedInstances['ended']>[0],
): Promise<readonly EndedInstance[]> {
  checkLimit(query);
  const { before, limit, after } = query;
  const from = Math.max(query.from, after?.endedAt ?? query.from);
  const rest = after === undefined ? '' : 'AND (ended_at > $from OR id > $after)';
  const [rows] = await db.run(
    `SELECT id, template_name, status, ended_at FROM ${INSTANCES} WITH INDEX ${INSTANCES}_ended_at
      WHERE ended_at >= $from AND ended_at < $before AND live = false AND dead_letters = 0 ${rest}
      ORDER BY ended_at, id LIMIT ${limit}`,
    { from, before, ...(after === undefined ? {} : { after: instanceId(after.id) }) },
  );
  return (rows as readonly EndedRow[]).map(({ id, template_name: template, status, ended_at: endedAt }) => ({
    id: asInstanceId(String(id.id)),
    template,
    status,
    endedAt,
  }));
}

interface EndedRow {
  readonly id: RecordId;
  readonly template_name: string;
  readonly status: InstanceStatus;
  readonly ended_at: number;
}

export async function* readHistory(
  db: Database,
  id: InstanceId,
  afterRevision: number,
): AsyncGenerator<Entry> {
  // a row is found by its first entry's revision, so begin where a row that holds the wanted one can begin at the earliest
  let from = Math.max(1, afterRevision + 2 - HISTORY_ROW_ENTRIES);
  for (;;) {
    const [found] = await db.run(`SELECT VALUE entries FROM $range LIMIT ${HISTORY_PAGE}`, {
      range: historyRange(id, from),
    });
    const rows = found as readonly string[];
    let last = from;
    for (const text of rows.flatMap(splitEntries)) {
      const entry = readEntry(text);
      last = entry.revision;
      if (entry.revision > afterRevision) yield entry;
    }
    if (rows.length < HISTORY_PAGE) return;
    from = last + 1;
  }
}
