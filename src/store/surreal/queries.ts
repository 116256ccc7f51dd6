/** Reads of many instances. */
import type { RecordId } from 'surrealdb';
import type { Entry } from '../../core/events.js';
import { type InstanceStatus, isLive, isTerminal } from '../../core/instance.js';
import { asInstanceId, type InstanceId } from '../../core/names.js';
import type {
  EndedInstance,
  EndedInstances,
  InstancePage,
  InstanceQuery,
  InstanceSummary,
  LiveCount,
  StoredInstance,
} from '../../core/ports.js';
import { readEntry } from '../chain.js';
import { checkLimit, decodeCursor, encodeCursor, type Position } from '../listing.js';
import type { Database } from './database.js';
import { HISTORY_ROW_ENTRIES } from './projection.js';
import {
  historyRange,
  INSTANCES,
  instanceId,
  type StateRow,
  SUMMARY_COLUMNS,
  type SummaryRow,
  splitEntries,
  storedOf,
  summaryOfRow,
  wellFormed,
} from './rows.js';

const BATCH = 500;
const HISTORY_PAGE = 16;
/** The newest instances are looked for in the last second, then in ever longer spans before: the index has no backward limit. */
const FIRST_SPAN_MS = 1_000;
const SPAN_GROWTH = 4;
const ORDER = 'ORDER BY created_at DESC, id DESC';

/**
 * Newest first, by time of creation and then by id. `newest` is no earlier than any time of creation that is to be expected;
 * later ones are found all the same.
 */
export async function listInstances(
  db: Database,
  query: InstanceQuery,
  newest: number,
): Promise<InstancePage> {
  checkLimit(query);
  const after = query.cursor === undefined ? null : decodeCursor(query.cursor);
  const wanted = query.limit + 1;
  const found =
    narrowIndex(query) === null
      ? await scanByTime(db, query, after, wanted, newest)
      : await selectPage(db, query, { after, wanted });
  const items = found.slice(0, query.limit);
  const last = items.at(-1);
  return { items, next: last !== undefined && found.length > items.length ? encodeCursor(last) : null };
}

/** The index that leaves few rows to sort; null: none does. */
function narrowIndex(query: InstanceQuery): string | null {
  if (query.withDeadLetters === true) return `${INSTANCES}_dead_letters`;
  if (query.labels !== undefined && query.labels.length > 0) return `${INSTANCES}_labels`;
  if (query.status !== undefined && !isTerminal(query.status)) return `${INSTANCES}_live`;
  return null;
}

async function scanByTime(
  db: Database,
  query: InstanceQuery,
  after: Position | null,
  wanted: number,
  newest: number,
): Promise<InstanceSummary[]> {
  const found: InstanceSummary[] = [];
  let before: number | null = after === null ? null : after.createdAt;
  let from = Math.min(newest, before ?? newest) - FIRST_SPAN_MS;
  for (let span = FIRST_SPAN_MS; found.length < wanted; span *= SPAN_GROWTH) {
    const page = { after, wanted: wanted - found.length, from, before };
    found.push(...(await selectPage(db, query, page)));
    if (from === Number.MIN_SAFE_INTEGER) break;
    before = from;
    from = from <= 0 ? Number.MIN_SAFE_INTEGER : from - span * SPAN_GROWTH;
  }
  return found;
}

/** `from` exclusive, `before` inclusive. */
interface PageBounds {
  readonly after: Position | null;
  readonly wanted: number;
  readonly from?: number;
  readonly before?: number | null;
}

async function selectPage(
  db: Database,
  query: InstanceQuery,
  bounds: PageBounds,
): Promise<InstanceSummary[]> {
  const { after, wanted, from, before } = bounds;
  const conditions: string[] = [];
  const values: Record<string, unknown> = {};
  const where = (condition: string, more: Record<string, unknown> = {}): void => {
    conditions.push(condition);
    Object.assign(values, more);
  };
  if (from !== undefined) where('created_at > $from', { from });
  if (before !== undefined && before !== null) where('created_at <= $before', { before });
  if (query.withDeadLetters === true) where('dead_letters > 0');
  for (const [index, label] of (query.labels ?? []).entries()) {
    where(`labels CONTAINS $label${index}`, { [`label${index}`]: wellFormed(label) });
  }
  if (query.status !== undefined)
    where('status = $status', { status: query.status satisfies InstanceStatus });
  if (query.status !== undefined && !isTerminal(query.status)) where('live = true');
  if (query.template !== undefined) where('template_name = $template', { template: query.template });
  if (after !== null) {
    where('(created_at < $at OR (created_at = $at AND id < $id))', {
      at: after.createdAt,
      id: instanceId(after.id),
    });
  }
  const index = narrowIndex(query) ?? `${INSTANCES}_created_at`;
  const [rows] = await db.run(
    `SELECT ${SUMMARY_COLUMNS} FROM ${INSTANCES} WITH INDEX ${index} WHERE ${conditions.join(' AND ')} ${ORDER} LIMIT ${wanted}`,
    values,
  );
  return (rows as readonly SummaryRow[]).map(summaryOfRow);
}

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
  const [counts, letters] = await db.run(
    `SELECT template_name AS template, status, count() AS count FROM ${INSTANCES} WITH INDEX ${INSTANCES}_live
      WHERE live = true GROUP BY template_name, status;
     SELECT VALUE dead_letters FROM ${INSTANCES} WITH INDEX ${INSTANCES}_dead_letters WHERE dead_letters > 0`,
  );
  const openLetters = (letters as readonly number[]).reduce((sum, count) => sum + count, 0);
  return { counts: counts as readonly LiveCount[], openLetters };
}

interface EndedRow {
  readonly id: RecordId;
  readonly template_name: string;
  readonly status: InstanceStatus;
  readonly ended_at: number;
}

/** `newer` answers what is not in the rows yet; null: deleted since. */
export async function* loadLive(
  db: Database,
  newer: (id: InstanceId) => StoredInstance | null | undefined,
): AsyncGenerator<readonly StoredInstance[]> {
  const [found] = await db.run(`SELECT VALUE id FROM ${INSTANCES} WHERE live = true`);
  const ids = found as readonly RecordId[];
  const read = (start: number): Promise<readonly unknown[]> => {
    const values = { ids: ids.slice(start, start + BATCH) };
    const rows = db.run('SELECT VALUE { head: head, state: state } FROM $ids', values);
    // awaited in the next round, and not to be taken for unhandled until then
    rows.catch(() => undefined);
    return rows;
  };
  // while one batch is being woken the engine reads the next
  let next = ids.length > 0 ? read(0) : null;
  for (let start = BATCH; next !== null; start += BATCH) {
    const [rows] = await next;
    next = start < ids.length ? read(start) : null;
    const batch: StoredInstance[] = [];
    for (const row of rows as readonly (StateRow | { state?: undefined })[]) {
      if (row.state === undefined || row.state === null) continue;
      const stored = storedOf(row, db.place);
      const current = newer(stored.instance.id);
      const newest = current === undefined ? stored : current;
      if (newest !== null && isLive(newest.instance)) batch.push(newest);
    }
    if (batch.length > 0) yield batch;
  }
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
  for (let start = 0; start < ids.length; start += BATCH) yield ids.slice(start, start + BATCH);
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
