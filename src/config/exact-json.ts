/** JSON that means one thing: what `JSON.parse` would change without a word is found before. */
import { quoted } from './text.js';

export interface Ambiguity {
  /** Goes on after "the input ". */
  readonly message: string;
  readonly hint: string;
  /** UTF-16 offset of the key or number. */
  readonly offset: number;
}

/** Up to this many characters a number without an exponent keeps every digit. */
const MAX_SAFE_CHARACTERS = 15;
/** As many digits as `toPrecision` gives. */
const MAX_DIGITS = 100;

/**
 * The first key that stands twice in one object, of which only the last would count, or the first number that is not the same
 * once it is read: a whole number beyond 2^53 that has no double of its own, or more digits than a double has. Null: there is
 * none. The text has to be valid JSON.
 */
export function findAmbiguity(text: string): Ambiguity | null {
  // keys of the objects that are open, null for an array
  const open: (Set<string> | null)[] = [];
  let keys: Set<string> | null = null;
  let isKey = false;
  for (let at = 0; at < text.length; ) {
    const end = endOfMark(text, at);
    switch (text[at]) {
      case '{':
      case '[':
        keys = text[at] === '{' ? new Set() : null;
        open.push(keys);
        isKey = keys !== null;
        break;
      case '}':
      case ']':
        open.pop();
        keys = open.at(-1) ?? null;
        isKey = false;
        break;
      case ',':
        isKey = keys !== null;
        break;
      case '"':
        if (isKey && keys !== null) {
          const mark = text.slice(at, end);
          const key = mark.includes('\\') ? String(JSON.parse(mark)) : mark.slice(1, -1);
          if (keys.has(key)) return repeatedKey(key, at);
          keys.add(key);
        }
        isKey = false;
        break;
      default:
        if (end > at + 1 && losesDigits(text.slice(at, end))) return lossyNumber(text.slice(at, end), at);
    }
    at = end;
  }
  return null;
}

const NUMBER = /[\d.eE+-]/;

/** Behind the string or number that begins at `at`, else behind that character. */
function endOfMark(text: string, at: number): number {
  let end = at + 1;
  if (text[at] === '"') {
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    return end + 1;
  }
  if (!/[\d-]/.test(text[at] ?? '')) return end;
  while (end < text.length && NUMBER.test(text[end] ?? '')) end += 1;
  return end;
}

function repeatedKey(key: string, offset: number): Ambiguity {
  const message = `has the key ${quoted(key)} twice in one object`;
  return { message, hint: 'only one of them could count: leave one out', offset };
}

function lossyNumber(mark: string, offset: number): Ambiguity {
  const message = `has the number ${quoted(mark)}, which can't be kept exactly`;
  return { message, hint: 'numbers are kept as 64-bit floating point: give it as a string', offset };
}

function losesDigits(literal: string): boolean {
  if (literal.length <= MAX_SAFE_CHARACTERS && !/e/i.test(literal)) return false;
  const value = Number(literal);
  const written = digitsOf(literal);
  if (written === digitsOf(String(value))) return false;
  // a whole number is written out again with other digits; a fraction is the same to whoever reads it as a double
  const count = written.replace(/e.*$/, '').length;
  const mayBe = !Number.isInteger(value) && count > 0 && count <= MAX_DIGITS;
  return !(mayBe && digitsOf(value.toPrecision(count)) === written);
}

/** Significant digits and the power of ten of the last of them: equal for literals of equal value. Without a sign: it is always kept. */
function digitsOf(literal: string): string {
  const [, whole = '', fraction = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(literal) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return literal.includes('Infinity') ? 'infinite' : '';
  return `${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}
