/** What every store's `list` has in common: summaries, filters and cursors. */
import { VaporaError } from '../core/errors.js';
import { deadLettersOf, type WorkflowInstance } from '../core/instance.js';
import type { InstanceQuery, InstanceSummary } from '../core/ports.js';

export const MAX_PAGE = 1_000;
const MAX_CURSOR_CHARACTERS = 2_000;

/** The last item of a page. Pages go from the newest to the oldest, by time of creation and then by id. */
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
    labels: Object.fromEntries(instance.labels),
    createdAt: instance.createdAt,
    updatedAt: instance.updatedAt,
    endedAt: instance.endedAt,
    error: instance.error,
    deadLetters: deadLettersOf(instance).length,
  };
}

/** Labels as they are asked for. A key holds no `=`, so the two parts can be told apart again. */
export function labelTexts(instance: WorkflowInstance): string[] {
  return instance.labels.map(([key, value]) => `${key}=${value}`);
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

export function encodeCursor(position: Position): string {
  return Buffer.from(JSON.stringify([position.createdAt, position.id])).toString('base64url');
}

/** Throws `input_invalid` for anything that {@link encodeCursor} has not made. */
export function decodeCursor(cursor: string): Position {
  const invalid = new VaporaError('input_invalid', 'the cursor is not one that a list has answered', {
    hint: 'leave the cursor out to begin with the first page',
  });
  if (cursor.length > MAX_CURSOR_CHARACTERS) throw invalid;
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw invalid;
  }
  if (!Array.isArray(parsed) || parsed.length !== 2) throw invalid;
  const [createdAt, id]: unknown[] = parsed;
  if (!Number.isSafeInteger(createdAt) || typeof id !== 'string') throw invalid;
  return { createdAt: Number(createdAt), id };
}
