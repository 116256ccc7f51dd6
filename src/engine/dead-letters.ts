/** Dead letters are not stored twice: each is a stage whose compensation ran out of attempts. */
import type { DeadLetter, LetterQuery } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import { deadLettersOf, type StageState, type WorkflowInstance } from '../core/instance.js';
import { cursorOf, invalidCursor, readCursor } from '../store/listing.js';

/** Where a page of letters goes on. */
export interface LetterCursor {
  /** The place in the list of instances, in the store's own words; null: its beginning. */
  readonly instances: string | null;
  /** The last letter so far, where its instance may have more; null: it has not. */
  readonly last: { readonly id: string; readonly stage: string } | null;
}

/** It has a cursor of the list of instances in it. */
const MAX_CURSOR_CHARACTERS = 4_000;

export function encodeLetterCursor({ instances, last }: LetterCursor): string {
  return cursorOf([instances, last?.id ?? null, last?.stage ?? null]);
}

/** Throws `input_invalid` for a cursor that no page has answered. */
export function letterCursorOf({ cursor }: Pick<LetterQuery, 'cursor'>): LetterCursor {
  if (cursor === undefined) return { instances: null, last: null };
  const [instances, id, stage] = readCursor(cursor, 3, MAX_CURSOR_CHARACTERS);
  if (instances !== null && typeof instances !== 'string') throw invalidCursor();
  if (id === null && stage === null) return { instances, last: null };
  if (typeof id !== 'string' || typeof stage !== 'string') throw invalidCursor();
  return { instances, last: { id, stage } };
}

/** In the order of its stages; with `stage` only those behind it. */
export function lettersOf(instance: WorkflowInstance, stage?: string): DeadLetter[] {
  const from = instance.stages.findIndex(({ name }) => name === stage) + 1;
  const behind = new Set(instance.stages.slice(from));
  return deadLettersOf(instance)
    .filter((letter) => behind.has(letter))
    .map((letter) => deadLetterOf(instance, letter));
}

function deadLetterOf(instance: WorkflowInstance, stage: StageState): DeadLetter {
  const failed = stage.compensation.tasks.find((task) => task.status === 'failed');
  return {
    id: `${instance.id}/${stage.name}`,
    workflow_id: instance.id,
    workflow: instance.templateName,
    stage: stage.name,
    code: failed?.error?.code ?? 'task_failed',
    message: stage.compensation.reason ?? '',
    attempts: failed?.attempt ?? 0,
    at: stage.compensation.endedAt ?? instance.updatedAt,
  };
}

/** Throws `dead_letter_unknown` for what is not `<instance>/<stage>`. */
export function parseLetter(letter: string): { id: string; stage: string } {
  const [id, stage, ...rest] = letter.split('/');
  if (id && stage && rest.length === 0) return { id, stage };
  throw new VaporaError('dead_letter_unknown', `\`${letter.slice(0, 80)}\` is not a dead letter`, {
    hint: 'dead letters are named `<instance>/<stage>`; `vapora dead-letters` lists them',
  });
}
