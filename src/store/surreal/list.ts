/**
 * Lists without sorting: the database reads an index forward only, so each listing index ends with the position, which sorts as lists
 * do. What has no row yet comes from memory, so that nobody waits for it to be written.
 */
import { BoundExcluded, type RecordId, RecordIdRange } from 'surrealdb';
import { INSTANCE_TRANSITIONS, type InstanceStatus } from '../../core/instance.js';
import type { InstancePage, InstanceQuery, InstanceSummary } from '../../core/ports.js';
import {
  checkLimit,
  comparePositions,
  matches,
  type Position,
  pageOf,
  positionOf,
  summaryOf,
} from '../listing.js';
import type { Database } from './database.js';
import {
  INSTANCES,
  instanceId,
  LABELS,
  positionAt,
  positionText,
  SUMMARY_COLUMNS,
  type SummaryRow,
  summaryOfRow,
  timeText,
  wakeId,
  wellFormed,
} from './rows.js';
import type { Unwritten } from './unwritten.js';

/** Once so many rows are read for a page, it ends with what was found: some 20 ms of work. */
const MAX_ROWS_READ = 600;
const STATUSES = Object.keys(INSTANCE_TRANSITIONS) as InstanceStatus[];

interface Piece {
  readonly items: readonly InstanceSummary[];
  /** The position that it goes to; null: to the end. */
  readonly to: string | null;
  /** Rows of the database that were read for it. */
  readonly rowsRead: number;
}

/** Part of an index in the order of lists. `from` exclusive; answers at most `limit`. */
type Scan = (from: string, limit: number) => Promise<Piece>;

/** `unwritten` is what rows do not say yet, as of a moment before the call. */
export async function listInstances(
  db: Database,
  query: InstanceQuery,
  unwritten: readonly Unwritten[],
): Promise<InstancePage> {
  checkLimit(query);
  const after = positionOf(query);
  const wanted = query.limit + 1;
  const known = new Set<string>(unwritten.map(({ id }) => id));
  const isInRow = (summary: InstanceSummary): boolean =>
    !known.has(summary.id) &&
    matches(summary, query) &&
    (after === null || comparePositions(after, summary) < 0);
  const fresh = firstOf(unwritten, query, after, wanted);
  const first = firstPosition(query);
  const from = after === null ? first : maxText(first, positionText(after));
  // behind a page that memory alone fills, no row has to be read
  const filled = fresh[wanted - 1];
  const end = endPosition(query);
  const to = filled === undefined ? end : minText(end, positionText(filled));
  const { found, reached } = await walk(scansOf(db, query, to), { from, wanted, isWanted: isInRow });
  const isReached = (at: Position): boolean => reached === null || comparePositions(at, reached) <= 0;
  return pageOf([...found, ...fresh.filter(isReached)].sort(comparePositions), query, reached);
}

/** The first so many of what is asked for, in order. They are thousands at times, so a summary is made of few. */
function firstOf(
  unwritten: readonly Unwritten[],
  query: InstanceQuery,
  after: Position | null,
  count: number,
): InstanceSummary[] {
  const { status, template } = query;
  const first: InstanceSummary[] = [];
  // the newest, which come first, are mostly the last ones
  for (let at = unwritten.length - 1; at >= 0; at -= 1) {
    const instance = unwritten[at]?.stored?.instance;
    if (instance === undefined || (status !== undefined && instance.status !== status)) continue;
    if (template !== undefined && instance.templateName !== template) continue;
    const last = first[count - 1];
    if (last !== undefined && comparePositions(last, instance) < 0) continue;
    const summary = summaryOf(instance);
    if (!matches(summary, query) || (after !== null && comparePositions(after, summary) >= 0)) continue;
    const place = first.findLastIndex((other) => comparePositions(other, summary) < 0) + 1;
    first.splice(place, 0, summary);
    if (first.length > count) first.pop();
  }
  return first;
}

function maxText(a: string, b: string): string {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0 ? b : a;
}

function minText(a: string, b: string): string {
  return maxText(a, b) === a ? b : a;
}

/** All positions that are asked for come after this one. */
function firstPosition({ createdBefore }: InstanceQuery): string {
  return createdBefore === undefined ? '' : positionText({ createdAt: createdBefore - 1, id: '' });
}

/** All positions that are asked for come before this one. */
function endPosition({ createdFrom }: InstanceQuery): string {
  return createdFrom === undefined
    ? timeText(Number.MAX_SAFE_INTEGER)
    : positionText({ createdAt: createdFrom - 1, id: '' });
}

/**
 * Which of several indexes leaves the fewest rows to look at is not known before, so they are read in turn, each from where the one
 * before it came to: what one of them has nothing of, none of the others has to read. `reached`: so far everything is found, and
 * behind it there may be more; null: there is nothing.
 */
async function walk(
  scans: readonly Scan[],
  page: { from: string; wanted: number; isWanted: (summary: InstanceSummary) => boolean },
): Promise<{ readonly found: readonly InstanceSummary[]; readonly reached: Position | null }> {
  const found: InstanceSummary[] = [];
  let { from } = page;
  let rowsLeft = MAX_ROWS_READ;
  for (let size = page.wanted; ; size = Math.min(size * 2, rowsLeft)) {
    for (const scan of scans) {
      const { items, to, rowsRead } = await scan(from, size);
      found.push(...items.filter(page.isWanted));
      if (to === null) return { found, reached: null };
      rowsLeft -= rowsRead;
      if (found.length >= page.wanted || rowsLeft <= 0) return { found, reached: positionAt(to) };
      from = to;
    }
  }
}

/** Each of them holds every row that is asked for before `to`. */
function scansOf(db: Database, query: InstanceQuery, to: string): Scan[] {
  const { status, template, initiator, labels = [] } = query;
  const statuses = status === undefined ? STATUSES : [status];
  const scans: Scan[] = labels.map((label) => labelScan(db, label, to));
  if (query.withDeadLetters === true) scans.push(rowScan(db, 'lettered', to));
  if (initiator !== undefined) scans.push(statusScan(db, 'initiator', { value: initiator, statuses, to }));
  if (template !== undefined) scans.push(statusScan(db, 'template_name', { value: template, statuses, to }));
  const isByStatus = initiator !== undefined || template !== undefined;
  if (status !== undefined && !isByStatus)
    scans.push(statusScan(db, 'status', { value: null, statuses, to }));
  return scans.length > 0 ? scans : [wholeScan(db, to)];
}

const COLUMNS = `${SUMMARY_COLUMNS}, position`;

function selectText(index: string, conditions: string): string {
  return `SELECT ${COLUMNS} FROM ${INSTANCES} WITH INDEX ${INSTANCES}_${index} WHERE ${conditions}`;
}

function rowScan(db: Database, index: 'lettered' | 'created_at', to: string): Scan {
  const column = index === 'lettered' ? 'lettered' : 'position';
  return async (from, limit) => {
    const text = selectText(index, `${column} > $from AND ${column} < $to LIMIT ${limit}`);
    const [rows] = await db.run(text, { from, to });
    return pieceOf((rows as readonly SummaryRow[]).map(summaryOfRow), limit);
  };
}

/** Above it, what the index of states reads for nothing costs more than what it saves. */
const SMALL_PAGE = 300;

/** Everything. The engine reads some 20 ms of an index whose range has no value before it, however few rows it is asked for. */
function wholeScan(db: Database, to: string): Scan {
  const byStatus = statusScan(db, 'status', { value: null, statuses: STATUSES, to });
  const byTime = rowScan(db, 'created_at', to);
  return (from, limit) => (limit <= SMALL_PAGE ? byStatus : byTime)(from, limit);
}

/** An index whose last columns are status and position: one reading a status, put together in order. */
function statusScan(
  db: Database,
  column: 'status' | 'initiator' | 'template_name',
  bounds: { value: string | null; statuses: readonly InstanceStatus[]; to: string },
): Scan {
  const { value, statuses, to } = bounds;
  const prefix = value === null ? '' : `${column} = $value AND `;
  return async (from, limit) => {
    const texts = statuses.map((status) =>
      selectText(
        column,
        `${prefix}status = '${status}' AND position > $from AND position < $to LIMIT ${limit}`,
      ),
    );
    const values = { from, to, ...(value === null ? {} : { value: wellFormed(value) }) };
    const results = await db.run(texts.join(';'), values);
    const rows = (results as readonly (readonly SummaryRow[])[]).flat().map(summaryOfRow);
    return pieceOf(rows.sort(comparePositions), limit);
  };
}

/** Rows in order, of which those beyond the limit were read for nothing. */
function pieceOf(rows: readonly InstanceSummary[], limit: number): Piece {
  const last = rows[limit - 1];
  return {
    items: rows.slice(0, limit),
    to: last === undefined ? null : positionText(last),
    rowsRead: rows.length,
  };
}

function labelScan(db: Database, label: string, to: string): Scan {
  const text = wellFormed(label);
  return async (from, limit) => {
    const positions = await positionsWith(db, text, { from, to, limit });
    const ids = positions.slice(0, limit).map((position) => instanceId(wakeId(position)));
    const [rows] = await db.run(`SELECT ${COLUMNS} FROM (SELECT * FROM $ids)`, { ids });
    // of what is gone meanwhile there is no row
    const items = (rows as readonly SummaryRow[]).map(summaryOfRow).sort(comparePositions);
    return { items, to: positions[limit - 1] ?? null, rowsRead: positions.length + ids.length };
  };
}

/** Time that is looked through first, and how many times as much comes next. */
const FIRST_SPAN_MS = 100;
const SPAN_GROWTH = 4;
/** Where there is nothing for so long, it is worth asking where there is something: behind a hole, a long span may hold too much. */
const LONG_SPAN_MS = 60_000;
/** How often it is asked: a label that is rare among instances that are far apart would meet ever new ones. */
const MAX_HOLES = 3;

/**
 * At least `limit` positions with a label, fewer only at the end. The database reads a range of ids to its end, whatever the limit, so it
 * is asked for one span of time after the other, each longer than the one before.
 */
async function positionsWith(
  db: Database,
  label: string,
  { from, to, limit }: { from: string; to: string; limit: number },
): Promise<string[]> {
  const positions: string[] = [];
  let holes = MAX_HOLES;
  let begin = wakeId(from) === '' ? await nextInstance(db, from, to) : from;
  for (let spanMs = FIRST_SPAN_MS; positions.length < limit && begin < to; spanMs *= SPAN_GROWTH) {
    const until = positionAt(begin).createdAt - spanMs;
    const end = minText(to, positionText({ createdAt: until, id: '' }));
    const range = new RecordIdRange(
      LABELS,
      new BoundExcluded([label, begin]),
      new BoundExcluded([label, end]),
    );
    const [found] = await db.run('SELECT VALUE id FROM $range', { range });
    for (const { id } of found as readonly RecordId[]) positions.push(String((id as unknown[])[1]));
    begin = end;
    if (holes === 0 || spanMs < LONG_SPAN_MS || (found as readonly unknown[]).length > 0) continue;
    begin = await nextInstance(db, end, to);
    holes -= 1;
    if (positionAt(end).createdAt - positionAt(begin).createdAt < spanMs) continue;
    spanMs = FIRST_SPAN_MS / SPAN_GROWTH;
  }
  return positions;
}

/** A place right before the next instance, past the time in which there is none; `to`: there is no next one. */
async function nextInstance(db: Database, from: string, to: string): Promise<string> {
  const text = `SELECT VALUE position FROM ${INSTANCES} WITH INDEX ${INSTANCES}_created_at WHERE position > $from AND position < $to LIMIT 1`;
  const [found] = await db.run(text, { from, to });
  const [first] = found as readonly string[];
  return first === undefined ? to : maxText(from, positionText({ ...positionAt(first), id: '' }));
}
