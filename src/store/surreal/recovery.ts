/** Opening: who may write from now on, and what the journal still holds. */
import { RecordId } from 'surrealdb';
import { VaporaError } from '../../core/errors.js';
import type { Entry } from '../../core/events.js';
import type { WorkflowInstance } from '../../core/instance.js';
import type { Digest, InstanceId } from '../../core/names.js';
import type { Clock, StoredInstance } from '../../core/ports.js';
import type { WorkflowTemplate } from '../../core/template.js';
import { CHAIN_START, decodeEntry } from '../chain.js';
import { pause } from './backoff.js';
import type { Session } from './commit-queue.js';
import type { Database } from './database.js';
import { isConflict, messageOf, storeFailure } from './fault.js';
import { instanceId, isDeletion, journalRange, type StateRow, splitEntries, storedOf } from './rows.js';
import type { UnwrittenBook } from './unwritten.js';

const PAGE = 64;
const CHUNK = 512;
const MAX_TRIES = 8;

/** Folds one commit into a state; the core's `applyEntry`. */
export type Fold = (
  template: WorkflowTemplate,
  instance: WorkflowInstance | null,
  entry: Pick<Entry, 'instance' | 'revision' | 'firstSeq' | 'at' | 'events'>,
) => WorkflowInstance;

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
 * again changes nothing. Throws `store_unreadable` where the journal does not fit the rows.
 */
export async function recover(parts: {
  db: Database;
  clock: Clock;
  session: Session;
  book: UnwrittenBook;
  fold: Fold;
  loadTemplate: (hash: Digest) => Promise<WorkflowTemplate | null>;
}): Promise<JournalTail> {
  const { db, session } = parts;
  const { items, first, last } = await readTail(db, session.partition);
  const deletions = new Map<InstanceId, number>();
  items.forEach((item, index) => {
    const content = isDeletion(item.text) ? parse(item, db.place) : null;
    if (content !== null && 'deleted' in content) deletions.set(content.deleted, index);
  });
  const states = new Map<InstanceId, StoredInstance | null>();
  // chunk by chunk: what is parsed takes several times the memory of its text. While one is folded the rows for the next are read
  const read = async (start: number): Promise<ParsedItem[]> => {
    const chunk = items
      .slice(start, start + CHUNK)
      .map((item) => ({ ...item, content: parse(item, db.place) }));
    await loadStates(db, chunk, states);
    return chunk;
  };
  let next = read(0);
  for (let start = 0; start < items.length; start += CHUNK) {
    const chunk = await next;
    next = read(start + CHUNK);
    // it is awaited in the next round, and must not be taken for unhandled until then
    next.catch(() => undefined);
    for (const [offset, item] of chunk.entries())
      await replay(item, start + offset, { deletions, states, parts });
  }
  return { first, last };
}

async function replay(
  { content, row, text }: ParsedItem,
  index: number,
  known: {
    deletions: ReadonlyMap<InstanceId, number>;
    states: Map<InstanceId, StoredInstance | null>;
    parts: Parameters<typeof recover>[0];
  },
): Promise<void> {
  const { deletions, states, parts } = known;
  const { book, clock } = parts;
  if ('deleted' in content) {
    book.addDeletion(content.deleted, row, clock.now());
    states.set(content.deleted, null);
    return;
  }
  const id = content.instance;
  // what was deleted later needs no folding
  if (index < (deletions.get(id) ?? -1)) return;
  const current = states.get(id) ?? null;
  if (content.revision <= (current?.instance.revision ?? 0)) return;
  const stored = await foldEntry(current, content, parts);
  states.set(id, stored);
  const entry = { revision: content.revision, text };
  book.add({ id, row, stored, entry, isNew: false, now: clock.now() });
}

async function readTail(db: Database, partition: string): Promise<JournalTail & { items: JournalItem[] }> {
  const items: JournalItem[] = [];
  let first: number | null = null;
  let last = 0;
  for (;;) {
    const [rows] = await db.run(`SELECT * FROM $range LIMIT ${PAGE}`, {
      range: journalRange(partition, last, Number.MAX_SAFE_INTEGER),
    });
    const page = rows as readonly { id: RecordId; entries: string }[];
    for (const { id, entries } of page) {
      const row = Array.isArray(id.id) ? Number(id.id[1]) : Number.NaN;
      first ??= row - 1;
      last = row;
      for (const text of splitEntries(entries)) items.push({ row, text });
    }
    if (page.length < PAGE) return { items, first: first ?? last, last };
  }
}

function parse({ text, row }: JournalItem, place: string): ParsedItem['content'] {
  try {
    return decodeEntry(text) as ParsedItem['content'];
  } catch (cause) {
    throw unreadable(`journal row ${row} of the store ${place} can't be read`, cause);
  }
}

async function loadStates(
  db: Database,
  items: readonly ParsedItem[],
  states: Map<InstanceId, StoredInstance | null>,
): Promise<void> {
  const ids = new Set<InstanceId>();
  for (const { content } of items) {
    if ('instance' in content && !states.has(content.instance)) ids.add(content.instance);
  }
  const all = [...ids];
  for (let start = 0; start < all.length; start += PAGE) {
    const [rows] = await db.run('SELECT VALUE { head: head, state: state } FROM (SELECT * FROM $ids)', {
      ids: all.slice(start, start + PAGE).map(instanceId),
    });
    for (const row of rows as readonly StateRow[]) {
      const stored = storedOf(row, db.place);
      // what was folded meanwhile is newer than its row
      if (!states.has(stored.instance.id)) states.set(stored.instance.id, stored);
    }
  }
}

async function foldEntry(
  current: StoredInstance | null,
  entry: Entry,
  parts: { db: Database; fold: Fold; loadTemplate: (hash: Digest) => Promise<WorkflowTemplate | null> },
): Promise<StoredInstance> {
  const { instance: id, revision } = entry;
  if (entry.previous !== (current?.head ?? CHAIN_START)) {
    throw unreadable(`revision ${revision} of instance \`${id}\` in the journal does not follow its row`);
  }
  const hash = current?.instance.templateHash ?? templateOf(entry);
  const template = hash === undefined ? null : await parts.loadTemplate(hash);
  if (template === null)
    throw unreadable(`the template of instance \`${id}\` is not in the store ${parts.db.place}`);
  try {
    return { instance: parts.fold(template, current?.instance ?? null, entry), head: entry.hash };
  } catch (cause) {
    throw unreadable(
      `revision ${revision} of instance \`${id}\` can't be applied: ${messageOf(cause)}`,
      cause,
    );
  }
}

function templateOf(entry: Entry): Digest | undefined {
  const [created] = entry.events;
  return created?.type === 'workflow_created' ? created.templateHash : undefined;
}

function unreadable(message: string, cause?: unknown): VaporaError {
  return new VaporaError('store_unreadable', message, {
    hint: 'the data was changed by something else than this engine; restore a backup',
    ...(cause === undefined ? {} : { cause }),
  });
}
