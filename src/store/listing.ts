/** What every store's `list` has in common: summaries, filters, order and cursors. */
import { VaporaError } from '../core/errors.js';
import { deadLettersOf, isLive, type WorkflowInstance } from '../core/instance.js';
import type {
  InstancePage,
  InstanceQuery,
  InstanceSummary,
  StoredInstance,
  StoredSummary,
} from '../core/ports.js';

export const MAX_PAGE = 1_000;
const MAX_CURSOR_CHARACTERS = 2_000;

/** The last item of a page. Pages go from the newest to the oldest, by time of creation, and by ascending id where that is the same. */
export interface Position {
  readonly createdAt: number;
  readonly id: string;
}

export function summaryOf(instance: WorkflowInstance): InstanceSummary {
  return {
    id: instance.id,
    template: instance.templateName,
    status: instance.status,
    initiator: instance.initiator.user,
    initiatorGroups: instance.initiator.groups,
    labels: Object.fromEntries(instance.labels),
    createdAt: instance.createdAt,
    updatedAt: instance.updatedAt,
    endedAt: instance.endedAt,
    error: instance.error,
    deadLetters: deadLettersOf(instance).length,
  };
}

export function storedSummaryOf({ instance, head }: StoredInstance): StoredSummary {
  const { revision } = instance;
  return { summary: summaryOf(instance), revision, head, isLive: isLive(instance) };
}

/** Labels as they are asked for. A key holds no `=`, so the two parts can be told apart again. */
export function labelTexts(instance: WorkflowInstance): string[] {
  return instance.labels.map(([key, value]) => `${key}=${value}`);
}

/** Whether the query asks for it, wherever its page begins. */
export function matches(summary: InstanceSummary, query: InstanceQuery): boolean {
  const { status, template, initiator, createdFrom, createdBefore, labels = [] } = query;
  if (status !== undefined && summary.status !== status) return false;
  if (template !== undefined && summary.template !== template) return false;
  if (initiator !== undefined && summary.initiator !== initiator) return false;
  if (createdFrom !== undefined && summary.createdAt < createdFrom) return false;
  if (createdBefore !== undefined && summary.createdAt >= createdBefore) return false;
  if (query.withDeadLetters === true && summary.deadLetters === 0) return false;
  return labels.every((label) => hasLabel(summary, label));
}

function hasLabel({ labels }: InstanceSummary, text: string): boolean {
  const cut = text.indexOf('=');
  const key = text.slice(0, Math.max(0, cut));
  return cut > 0 && Object.hasOwn(labels, key) && labels[key] === text.slice(cut + 1);
}

/** Negative where `a` is listed before `b`. Ids are compared as a database does, by their bytes. */
export function comparePositions(a: Position, b: Position): number {
  return b.createdAt - a.createdAt || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));
}

/**
 * `found` is in order, begins behind the query's cursor, and has one item more than the page takes where there is certainly a next
 * page. `reached`: everything up to there is found, and behind it there may be more; null: there is nothing.
 */
export function pageOf(
  found: readonly InstanceSummary[],
  query: InstanceQuery,
  reached: Position | null = null,
): InstancePage {
  const items = found.slice(0, query.limit);
  const last = found.length > items.length ? (items.at(-1) ?? null) : reached;
  return { items, next: last === null ? null : cursorAt(last) };
}

/** Throws `input_invalid` for a limit out of range. */
export function checkLimit(query: Pick<InstanceQuery, 'limit'>): void {
  if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > MAX_PAGE) {
    throw new VaporaError(
      'input_invalid',
      `limit \`${query.limit}\` is not a whole number from 1 to ${MAX_PAGE}`,
    );
  }
}

/** Null: the page begins with the newest. Throws `input_invalid` for a cursor that no list has answered. */
export function positionOf({ cursor }: InstanceQuery): Position | null {
  if (cursor === undefined) return null;
  const [createdAt, id] = readCursor(cursor, 2, MAX_CURSOR_CHARACTERS);
  if (!Number.isSafeInteger(createdAt) || typeof id !== 'string') throw invalidCursor();
  return { createdAt: Number(createdAt), id };
}

/** Of a page that ended there. */
export function cursorAt({ createdAt, id }: Position): string {
  return cursorOf([createdAt, id]);
}

/** Opaque to whoever is given it. */
export function cursorOf(parts: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** As many parts as it was made of, of whatever kind. Throws `input_invalid` for what {@link cursorOf} has not made of so many. */
export function readCursor(cursor: string, count: number, maxCharacters: number): readonly unknown[] {
  if (cursor.length > maxCharacters) throw invalidCursor();
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw invalidCursor();
  }
  if (!Array.isArray(parsed) || parsed.length !== count) throw invalidCursor();
  return parsed;
}

export function invalidCursor(): VaporaError {
  return new VaporaError('input_invalid', 'the cursor is not one that such a list has answered', {
    hint: 'leave the cursor out to begin with the first page',
  });
}
