/**
 * Lists without sorting: the database reads an index forward only, so each listing index ends with the position, which sorts as lists
 * do. What has no row yet comes from memory, so that nobody waits for it to be written.
 */
import { BoundExcluded, type RecordId, RecordIdRange } from 'surrealdb';
import { INSTANCE_TRANSITIONS, type InstanceStatus, type WorkflowInstance } from '../../core/instance.js';
import type { InstancePage, InstanceQuery, InstanceSummary } from '../../core/ports.js';
import { checkLimit, comparePositions, matches, pageOf, positionOf, summaryOf } from '../listing.js';
import type { Database } from './database.js';
import {
  INSTANCES,
  instanceId,
  LABELS,
  positionText,
  SUMMARY_COLUMNS,
  type SummaryRow,
  summaryOfRow,
  timeText,
  wakeId,
  wellFormed,
} from './rows.js';
import type { Unwritten } from './unwritten.js';

const MAX_SCAN = 1_000;
const STATUSES = Object.keys(INSTANCE_TRANSITIONS) as InstanceStatus[];

/** Part of an index in the order of lists. `from` exclusive; answers at most `limit`, fewer only at the end. */
type Scan = (from: string, limit: number) => Promise<readonly InstanceSummary[]>;

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
  const isWanted = (summary: InstanceSummary): boolean =>
    matches(summary, query) && (after === null || comparePositions(after, summary) < 0);
  const isInRow = (summary: InstanceSummary): boolean => !known.has(summary.id) && isWanted(summary);
  const fresh = unwritten.flatMap(({ stored }) =>
    stored === null || !mayMatch(stored.instance, query) ? [] : [summaryOf(stored.instance)],
  );
  const first = firstPosition(query);
  const from = after === null ? first : maxText(first, positionText(after));
  const written = await race(scansOf(db, query), { from, wanted, isWanted: isInRow });
  return pageOf([...written, ...fresh.filter(isWanted)].sort(comparePositions), query);
}

/** Tells most of what is not asked for, without making a summary of it. */
function mayMatch(instance: WorkflowInstance, { status, template }: InstanceQuery): boolean {
  if (status !== undefined && instance.status !== status) return false;
  return template === undefined || instance.templateName === template;
}

function maxText(a: string, b: string): string {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0 ? b : a;
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
 * Which of several indexes leaves the fewest rows to look at is not known before, so all are read in turn, in ever larger pages, until
 * one of them alone has answered: that costs as many times the best as there are.
 */
async function race(
  scans: readonly Scan[],
  page: { from: string; wanted: number; isWanted: (summary: InstanceSummary) => boolean },
): Promise<InstanceSummary[]> {
  const runs = scans.map((scan) => ({ scan, from: page.from, found: [] as InstanceSummary[] }));
  for (let size = Math.min(page.wanted, MAX_SCAN); ; size = Math.min(MAX_SCAN, size * 2)) {
    for (const run of runs) {
      const rows = await run.scan(run.from, size);
      run.found.push(...rows.filter(page.isWanted));
      const last = rows.at(-1);
      if (run.found.length >= page.wanted || rows.length < size || last === undefined) return run.found;
      run.from = positionText(last);
    }
  }
}

/** Each of them holds every row that is asked for. */
function scansOf(db: Database, query: InstanceQuery): Scan[] {
  const { status, template, initiator, labels = [] } = query;
  const to = endPosition(query);
  const statuses = status === undefined ? STATUSES : [status];
  const scans: Scan[] = labels.map((label) => labelScan(db, label, to));
  if (query.withDeadLetters === true) scans.push(rowScan(db, 'lettered', to));
  if (initiator !== undefined) scans.push(statusScan(db, 'initiator', { value: initiator, statuses, to }));
  if (template !== undefined) scans.push(statusScan(db, 'template_name', { value: template, statuses, to }));
  const isByStatus = initiator !== undefined || template !== undefined;
  if (status !== undefined && !isByStatus)
    scans.push(statusScan(db, 'status', { value: null, statuses, to }));
  return scans.length > 0 ? scans : [rowScan(db, 'created_at', to)];
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
    return (rows as readonly SummaryRow[]).map(summaryOfRow);
  };
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
    return rows.sort(comparePositions).slice(0, limit);
  };
}

function labelScan(db: Database, label: string, to: string): Scan {
  const text = wellFormed(label);
  return async (from, limit) => {
    const range = new RecordIdRange(LABELS, new BoundExcluded([text, from]), new BoundExcluded([text, to]));
    const [found] = await db.run(`SELECT VALUE id FROM $range LIMIT ${limit}`, { range });
    const ids = (found as readonly RecordId[]).map(({ id }) =>
      instanceId(wakeId(String((id as unknown[])[1]))),
    );
    const [rows] = await db.run(`SELECT ${COLUMNS} FROM (SELECT * FROM $ids)`, { ids });
    return (rows as readonly SummaryRow[]).map(summaryOfRow).sort(comparePositions);
  };
}
