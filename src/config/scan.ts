/**
 * A look over TOML text before it is parsed. The parser recurses over nested values and spreads long strings over the call stack:
 * what could exhaust it is refused here, with its exact place.
 */
import type { Position } from './document.js';

export const MAX_DEPTH = 32;
/** UTF-16 units of one string, quotes and escapes included. */
export const MAX_STRING_LENGTH = 65_536;

export interface Excess {
  readonly what: 'depth' | 'string';
  readonly position: Position;
}

/** The first value that is nested too deep or too long, or null. Strings that do not end are left to the parser. */
export function findExcess(text: string): Excess | null {
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    const character = text[at];
    if (character === '#') at = endOfLine(text, at);
    else if (character === '"' || character === "'") {
      const end = endOfString(text, at, character);
      if (end - at > MAX_STRING_LENGTH) return { what: 'string', position: positionOf(text, at) };
      at = end;
    } else {
      if (character === '[' || character === '{') depth += 1;
      else if (character === ']' || character === '}') depth = Math.max(0, depth - 1);
      if (depth > MAX_DEPTH) return { what: 'depth', position: positionOf(text, at) };
      at += 1;
    }
  }
  return null;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

function endOfString(text: string, from: number, quote: string): number {
  const triple = quote.repeat(3);
  const isMultiLine = text.startsWith(triple, from);
  const close = isMultiLine ? triple : quote;
  for (let at = from + close.length; at < text.length; at += 1) {
    if (text[at] === '\\' && quote === '"') at += 1;
    else if (text.startsWith(close, at)) return at + close.length;
    else if (text[at] === '\n' && !isMultiLine) return at;
  }
  return text.length;
}

/** Line and column, from 1, of an index into the text. Lines end as the parser has them: LF, or CR and LF. */
export function positionOf(text: string, index: number): Position {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < index; at = text.indexOf('\n', at + 1)) {
    line += 1;
    start = at + 1;
  }
  return { line, column: index - start + 1 };
}
