/** Adds what was probably meant to an error about something unknown. */

import type { EngineConfig } from '../config/load.js';
import { nearest } from '../config/text.js';
import type { WorkflowApi } from '../core/api.js';
import { VaporaError } from '../core/errors.js';

interface Known {
  readonly api: WorkflowApi;
  readonly config: EngineConfig;
}

/** Names that a guess is made from, at most. */
const MAX_CANDIDATES = 200;
const MAX_LISTED = 5;

/** Throws `error`, with a hint added where it has none. */
export async function withNearest(error: unknown, known: Known): Promise<never> {
  if (!(error instanceof VaporaError) || error.hint !== undefined) throw error;
  const hint = await hintFor(error, known).catch(() => undefined);
  if (hint === undefined) throw error;
  const { code, message, problems } = error;
  throw new VaporaError(code, message, { hint, problems, cause: error });
}

async function hintFor(error: VaporaError, { api, config }: Known): Promise<string | undefined> {
  const wanted = /`([^`]*)`/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'workflow_unknown':
      return guess(wanted, [...config.templates.keys()], 'workflows', `${config.file} defines none`);
    case 'instance_unknown': {
      const page = await api.list({ limit: MAX_CANDIDATES });
      const ids = page.items.map((item) => item.id);
      return guess(wanted, ids, 'latest instances', 'there are no instances yet');
    }
    case 'dead_letter_unknown': {
      const letters = (await api.deadLetters()).map((letter) => letter.id);
      return guess(
        wanted,
        letters.slice(0, MAX_CANDIDATES),
        'open dead letters',
        'there are no dead letters',
      );
    }
    default:
      return undefined;
  }
}

/** The nearest name, else the first few there are. */
export function guess(wanted: string, names: readonly string[], what: string, none: string): string {
  const near = nearest(wanted, names);
  if (near !== undefined) return `did you mean \`${near}\`?`;
  if (names.length === 0) return none;
  const listed = names.slice(0, MAX_LISTED).map((name) => `\`${name}\``);
  const more = names.length > MAX_LISTED ? `, … (${names.length})` : '';
  return `${what}: ${listed.join(', ')}${more}`;
}
