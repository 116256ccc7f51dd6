/** Opening: who may write from now on, and what the journal still holds. */
import { RecordId } from 'surrealdb';
import type { Entry } from '../../core/events.js';
import type { Digest, InstanceId } from '../../core/names.js';
import type { Clock, StoredInstance } from '../../core/ports.js';
import { decodeEntry } from '../chain.js';
import { pause } from './backoff.js';
import type { Session } from './commit-queue.js';
import type { Database } from './database.js';
import { isConflict, storeFailure } from './fault.js';
import { type FoldParts, foldEntry, loadRow, unreadable } from './fold.js';
import { instanceId, isDeletion, journalRange, type StateRow, splitEntries, storedOf } from './rows.js';
import type { UnwrittenBook } from './unwritten.js';

const PAGE = 64;
const CHUNK = 512;
const MAX_TRIES = 8;

/** Takes the partition over: commits under every earlier fence are refused from here on. */
export async function takeOver(db: Database, clock: Clock, partition: string): Promise<Session> {
  const owner = new RecordId('engine_session', partition);
  for (let tries = 1; ; tries += 1) {
    try {
      const results = await db.run(
        'BEGIN; UPSERT $owner SET fence += 1 RETURN NONE; SELECT VALUE fence FROM ONLY $owner; COMMIT',
        { owner },
      );
      const fence = results.find((result) => typeof result === 'number');
      if (typeof fence === 'number') {
        db.fences.set(partition, fence);
        return { partition, fence };
      }
      throw new Error('the fence could not be raised');
    } catch (error) {
      if (!isConflict(error) || tries === MAX_TRIES) throw storeFailure(error, db.place);
      await pause(clock, tries);
    }
  }
}

export interface JournalTail {
  /** Rows up to this one are gone. */
  readonly first: number;
  readonly last: number;
}

interface JournalItem {
  readonly row: number;
  readonly text: string;
}

interface ParsedItem extends JournalItem {
  readonly content: Entry | { readonly deleted: InstanceId };
}

/**
 * Reads the journal's tail and folds it onto the instances' rows, into `book`. What a row already holds is skipped, so doing it
 * again changes nothing. Throws `store_unreadable` where the journal does not fit the rows, and `audit_broken`.
 */
export async function recover(parts: RecoveryParts): Promise<JournalTail> {
  const { db, session } = parts;
  const { items, first, last } = await readTail(db, session.partition);
  const deletions = new Map<InstanceId, number>();
  items.forEach((item, index) => {
    const content = isDeletion(item.text) ? parse(item, db.place) : null;
    if (content !== null && 'deleted' in content) deletions.set(content.deleted, index);
  });
  const known: Known = { deletions, rows: new Map(), states: new Map() };
  // chunk by chunk: what is parsed takes several times the memory of its text. While one is folded the rows for the next are read
  const read = async (start: number): Promise<ParsedItem[]> => {
    const chunk = items
      .slice(start, start + CHUNK)
      .map((item) => ({ ...item, content: parse(item, db.place) }));
    await readRows(db, chunk, known.rows);
    return chunk;
  };
  let next = read(0);
  for (let start = 0; start < items.length; start += CHUNK) {
    const chunk = await next;
    next = read(start + CHUNK);
    // it is awaited in the next round, and must not be taken for unhandled until then
    next.catch(() => undefined);
    for (const [offset, item] of chunk.entries()) await replay(item, start + offset, known, parts);
  }
  return { first, last };
}

interface RecoveryParts extends FoldParts {
  readonly clock: Clock;
  readonly session: Session;
  readonly book: UnwrittenBook;
}

interface Known {
  /** Where in the tail each instance that was deleted was deleted last. */
  readonly deletions: ReadonlyMap<InstanceId, number>;
  readonly rows: Map<InstanceId, StateRow>;
  /** What the tail has led to so far; it counts for more than the row. Null: deleted. */
  readonly states: Map<InstanceId, StoredInstance | null>;
}

async function replay(
  { content, row, text }: ParsedItem,
  index: number,
  known: Known,
  parts: RecoveryParts,
): Promise<void> {
  const { book, clock } = parts;
  const { deletions, rows, states } = known;
  if ('deleted' in content) {
    book.addDeletion(content.deleted, row, clock.now());
    states.set(content.deleted, null);
    return;
  }
  const id = content.instance;
  // what was deleted later needs no folding
  if (index < (deletions.get(id) ?? -1)) return;
  const replayed = states.get(id);
  const written = replayed === undefined ? rows.get(id) : undefined;
  const revision = written?.revision ?? replayed?.instance.revision ?? 0;
  if (content.revision <= revision) return;
  const base = written === undefined ? replayed : await inRow(id, written, parts);
  const stored = await foldEntry(base ?? null, content, parts);
  states.set(id, stored);
  const entry = { revision: content.revision, text };
  book.add({ id, row, stored, entry, isNew: false, now: clock.now() });
}

function inRow(id: InstanceId, { head, state }: StateRow, parts: FoldParts): Promise<StoredInstance | null> {
  return state === undefined ? loadRow(id, parts) : Promise.resolve(storedOf(head, state, parts.db.place));
}

async function readTail(db: Database, partition: string): Promise<JournalTail & { items: JournalItem[] }> {
  // the database reads a range of ids to its end, whatever the limit: only with its numbers known can it be read a page at a time
  const [ids] = await db.run('SELECT VALUE id FROM $range', {
    range: journalRange(partition, 0, Number.MAX_SAFE_INTEGER),
  });
  const numbers = (ids as readonly RecordId[]).map(numberOf);
  const items: JournalItem[] = [];
  for (let start = 0; start < numbers.length; start += PAGE) {
    const page = numbers.slice(start, start + PAGE);
    const [rows] = await db.run('SELECT * FROM $range', {
      range: journalRange(partition, (page[0] ?? 0) - 1, page.at(-1) ?? 0),
    });
    for (const { id, entries } of rows as readonly { id: RecordId; entries: string }[]) {
      const row = numberOf(id);
      for (const text of splitEntries(entries)) items.push({ row, text });
    }
  }
  const last = numbers.at(-1) ?? 0;
  return { items, first: (numbers[0] ?? last + 1) - 1, last };
}

function numberOf({ id }: RecordId): number {
  return Number((id as unknown[])[1]);
}

function parse({ text, row }: JournalItem, place: string): ParsedItem['content'] {
  try {
    return decodeEntry(text) as ParsedItem['content'];
  } catch (cause) {
    throw unreadable(`journal row ${row} of the store ${place} can't be read`, cause);
  }
}

/** Without the histories that states are left to: of most instances the tail has nothing new. */
async function readRows(
  db: Database,
  items: readonly ParsedItem[],
  known: Map<InstanceId, StateRow>,
): Promise<void> {
  const ids = new Set<InstanceId>();
  for (const { content } of items) {
    if ('instance' in content && !known.has(content.instance)) ids.add(content.instance);
  }
  const all = [...ids];
  for (let start = 0; start < all.length; start += CHUNK) {
    const [found] = await db.run(
      'SELECT VALUE [record::id(id), revision, head, state] FROM (SELECT * FROM $ids)',
      { ids: all.slice(start, start + CHUNK).map(instanceId) },
    );
    for (const [id, revision, head, state] of found as readonly RowColumns[]) {
      known.set(id, { revision, head, state });
    }
  }
}

type RowColumns = readonly [id: InstanceId, revision: number, head: Digest, state: string | undefined];
