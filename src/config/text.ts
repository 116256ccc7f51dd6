/** How text from users and places in documents are shown in messages. */
import { distance } from 'fastest-levenshtein';

/** Steps from the root of a document to one of its values. */
export type KeyPath = readonly (string | number)[];

const MAX_SHOWN_CHARACTERS = 80;
const BARE_KEY = /^[A-Za-z0-9_-]+$/;
// Control, format and bidirectional characters, line separators and lone surrogates: what could rearrange a terminal or a log.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** User text made safe to show: at most 80 characters, control characters escaped. */
export function shown(text: string): string {
  const head = [...text.slice(0, 2 * MAX_SHOWN_CHARACTERS)];
  const cut = head.length > MAX_SHOWN_CHARACTERS || text.length > 2 * MAX_SHOWN_CHARACTERS;
  const kept = cut ? `${head.slice(0, MAX_SHOWN_CHARACTERS - 1).join('')}…` : text;
  return kept.replace(
    UNSAFE,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}}`,
  );
}

/** User text in backticks, as messages have it. */
export function quoted(text: string): string {
  return `\`${shown(text)}\``;
}

/** `workflows[0].stages[1].agents[0]`; keys that are not bare are quoted. */
export function formatPath(path: KeyPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else {
      const key = BARE_KEY.test(step) ? shown(step) : `"${shown(step)}"`;
      text += text === '' ? key : `.${key}`;
    }
  }
  return text;
}

/** The candidate that was probably meant, or undefined when none is near. */
export function nearest(text: string, candidates: Iterable<string>): string | undefined {
  if (text.length > 128) return undefined;
  const wanted = text.toLowerCase();
  let best: string | undefined;
  // A third of the letters may be wrong, or two swapped in a short word; with more, a suggestion misleads.
  const allowed = Math.max(text.length < 4 ? 1 : 2, Math.floor(text.length / 3));
  let bestDistance = allowed + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const found = distance(wanted, candidate.toLowerCase());
    if (found < bestDistance) {
      best = candidate;
      bestDistance = found;
    }
  }
  return best;
}
