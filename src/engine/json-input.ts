/** JSON from outside, refused before it can do harm: too large, too deep, or not JSON at all. */
import { findAmbiguity } from '../config/exact-json.js';
import { VaporaError } from '../core/errors.js';

export interface JsonLimits {
  readonly maxBytes: number;
  /** Arrays and objects within one another. */
  readonly maxDepth: number;
}

/** Far above real inputs, and far below what makes a recursive reader run out of stack. */
export const MAX_JSON_DEPTH = 100;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENERS = new Set([0x5b, 0x7b]);
const CLOSERS = new Set([0x5d, 0x7d]);

/**
 * The value of a JSON text. Throws `input_too_large` by its size, before anything is parsed, and `input_invalid` with line and
 * column for what is nested too deep, no JSON, or JSON that would not be kept as it is: a key twice in one object, a number with more
 * digits than are kept. `name` says in messages what the text is.
 */
export function parseJsonInput(text: string, limits: JsonLimits, name = 'the input'): unknown {
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.maxBytes) throw inputTooLarge(name, bytes, limits.maxBytes);
  const deep = findTooDeep(text, limits.maxDepth);
  if (deep !== null) {
    const message = `${name} is nested more than ${limits.maxDepth} deep (${placeOf(text, deep)})`;
    throw new VaporaError('input_invalid', message);
  }
  const value = parse(text, name);
  const ambiguity = findAmbiguity(text);
  if (ambiguity === null) return value;
  const { message, hint, offset } = ambiguity;
  throw new VaporaError('input_invalid', `${name} ${message} (${placeOf(text, offset)})`, { hint });
}

function parse(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw notJson(text, name, reason, error);
  }
}

export function inputTooLarge(name: string, bytes: number, maxBytes: number): VaporaError {
  const message = `${name} has ${bytes} bytes, of which ${maxBytes} are allowed`;
  const hint = 'hand large content over as a file or URL, or raise `max_input_bytes` in `[engine.limits]`';
  return new VaporaError('input_too_large', message, { hint });
}

/** Offset of the first bracket that is one too many; null: there is none. Text within strings does not count. */
function findTooDeep(text: string, maxDepth: number): number | null {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (isInString) {
      if (unit === BACKSLASH) at += 1;
      else if (unit === QUOTE) isInString = false;
    } else if (unit === QUOTE) isInString = true;
    else if (OPENERS.has(unit)) {
      depth += 1;
      if (depth > maxDepth) return at;
    } else if (CLOSERS.has(unit)) depth -= 1;
  }
  return null;
}

/** V8 says where only in some of its messages: `… at position 17 (line 2 column 3)`, or that the text ended. */
function notJson(text: string, name: string, reason: string, cause: unknown): VaporaError {
  const position = / at position (\d+)/.exec(reason)?.[1];
  const isCut = /Unexpected end|Unterminated/.test(reason);
  const offset =
    position !== undefined ? Number(position) : isCut ? text.length : offsetOfToken(text, reason);
  const where = offset === null ? '' : ` (${placeOf(text, offset)})`;
  const what = reason.replace(/ (in JSON )?at position .*$/s, '').replace(/, ?(\.\.\.)?".*$/s, '');
  const message = `${name} is not JSON: ${lowerFirst(what)}${where}`;
  return new VaporaError('input_invalid', message, { cause });
}

/** ``Unexpected token 'h', ..."{\n  hello"... is not valid JSON`` says no offset: it is where that token stands, if only one does. */
function offsetOfToken(text: string, reason: string): number | null {
  const token = /^Unexpected token '(.)'/su.exec(reason)?.[1];
  const excerpt = /, (?:\.\.\.)?"(.*)"(?:\.\.\.)? is not valid JSON$/s.exec(reason)?.[1];
  if (token === undefined || excerpt === undefined || excerpt === '') return null;
  const start = text.indexOf(excerpt);
  const found = excerpt.indexOf(token);
  const isUnique =
    found !== -1 && found === excerpt.lastIndexOf(token) && start === text.lastIndexOf(excerpt);
  return isUnique && start !== -1 ? start + found : null;
}

function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return `line ${line}, column ${offset - before.lastIndexOf('\n')}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
