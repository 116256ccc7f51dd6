/** Reads of ended and of changed instances, and of histories. */
import type { RecordId } from 'surrealdb';
import type { Entry } from '../../core/events.js';
import type { InstanceStatus } from '../../core/instance.js';
import { asInstanceId, type InstanceId } from '../../core/names.js';
import type { EndedInstance, EndedInstances, LiveCount } from '../../core/ports.js';
import { readEntry } from '../chain.js';
import { checkLimit } from '../listing.js';
import type { Database } from './database.js';
import { HISTORY_ROW_ENTRIES } from './projection.js';
import { historyRange, INSTANCES, instanceId, splitEntries, timeText } from './rows.js';

const HISTORY_PAGE = 16;
const IDS_BATCH = 500;

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

export async function countLive(
  db: Database,
): Promise<{ readonly counts: readonly LiveCount[]; readonly openLetters: number }> {
  const counted = `SELECT template_name AS template, status, count() AS count FROM ${INSTANCES} WITH INDEX ${INSTANCES}`;
  const grouped = 'GROUP BY template_name, status';
  const waiting = (status: InstanceStatus): string =>
    `${counted}_status WHERE status = '${status}' AND position > '' ${grouped}`;
  const [goingOn, asking, blocked, letters] = await db.run(
    `${counted}_wake WHERE wake > $from AND wake < $to AND status NOT IN ['waiting_approval', 'blocked'] ${grouped};
     ${waiting('waiting_approval')}; ${waiting('blocked')};
     SELECT VALUE dead_letters FROM ${INSTANCES} WITH INDEX ${INSTANCES}_lettered WHERE lettered > ''`,
    { from: timeText(0), to: timeText(1) },
  );
  const openLetters = (letters as readonly number[]).reduce((sum, count) => sum + count, 0);
  return { counts: [goingOn, asking, blocked].flat() as readonly LiveCount[], openLetters };
}

interface EndedRow {
  readonly id: RecordId;
  readonly template_name: string;
  readonly status: InstanceStatus;
  readonly ended_at: number;
}

export async function* idsChangedSince(db: Database, at: number): AsyncGenerator<readonly InstanceId[]> {
  const index = `${INSTANCES}_updated_at`;
  const [found] = await db.run(
    `SELECT VALUE id FROM ${INSTANCES} WITH INDEX ${index} WHERE updated_at >= $at`,
    {
      at,
    },
  );
  const ids = (found as readonly RecordId[]).map(({ id }) => asInstanceId(String(id)));
  for (let start = 0; start < ids.length; start += IDS_BATCH) yield ids.slice(start, start + IDS_BATCH);
}

export async function* readHistory(
  db: Database,
  id: InstanceId,
  afterRevision: number,
): AsyncGenerator<Entry> {
  // a row is found by its first entry's revision, so begin where a row that holds the wanted one can begin at the earliest
  let from = Math.max(1, afterRevision + 2 - HISTORY_ROW_ENTRIES);
  for (;;) {
    // the next row begins within as many revisions as one holds at most
    const [found] = await db.run(`SELECT VALUE entries FROM $range LIMIT ${HISTORY_PAGE}`, {
      range: historyRange(id, from, from + HISTORY_ROW_ENTRIES - 1),
    });
    const rows = found as readonly string[];
    if (rows.length === 0) return;
    let last = from;
    for (const text of rows.flatMap(splitEntries)) {
      const entry = readEntry(text);
      last = entry.revision;
      if (entry.revision > afterRevision) yield entry;
    }
    from = last + 1;
  }
}
