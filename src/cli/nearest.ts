/** Adds what was probably meant to an error about something unknown. */

import { nearest } from '../config/text.js';
import type { WorkflowApi } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import type { Catalog } from './catalog.js';

interface Known {
  readonly api: WorkflowApi;
  readonly catalog: Catalog;
}

/** Names that a guess is made from, at most. */
const MAX_CANDIDATES = 200;
const MAX_LISTED = 5;

/** Throws `error`; about something unknown, with the nearest name as its hint, or with some that there are where it has no hint. */
export async function withNearest(error: unknown, known: Known): Promise<never> {
  if (!(error instanceof VaporaError)) throw error;
  const candidates = await candidatesFor(error, known).catch(() => null);
  if (candidates === null) throw error;
  const { code, message, problems } = error;
  const wanted = /`([^`]*)`/.exec(message)?.[1] ?? '';
  const { names, what, none } = candidates;
  const isNear = nearest(wanted, names) !== undefined;
  if (!isNear && error.hint !== undefined) throw error;
  throw new VaporaError(code, message, { hint: guess(wanted, names, what, none), problems, cause: error });
}

interface Candidates {
  readonly names: readonly string[];
  /** What they are, and what to say where there are none. */
  readonly what: string;
  readonly none: string;
}

async function candidatesFor(error: VaporaError, { api, catalog }: Known): Promise<Candidates | null> {
  switch (error.code) {
    case 'workflow_unknown':
      return {
        names: [...(await catalog.workflows()).keys()],
        what: 'workflows',
        none: `${catalog.place} defines none`,
      };
    case 'instance_unknown': {
      const page = await api.list({ limit: MAX_CANDIDATES });
      const names = page.items.map((item) => item.id);
      return { names, what: 'latest instances', none: 'there are no instances yet' };
    }
    case 'dead_letter_unknown': {
      const names = (await api.deadLetters({ limit: MAX_CANDIDATES })).items.map((letter) => letter.id);
      return { names, what: 'open dead letters', none: 'there are no dead letters' };
    }
    default:
      return null;
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
