/** Offsets into texts as places for people. */
import type { Place } from '../core/errors.js';

/** The place of a UTF-16 offset, counting columns in characters. */
export function placeAt(file: string, text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (let at = before.indexOf('\n'); at >= 0; at = before.indexOf('\n', at + 1)) line++;
  return { file, line, column: [...before.slice(lineStart)].length + 1 };
}

/** Cedar counts UTF-8 bytes; JavaScript UTF-16 units. Offsets past the end give the end. */
export function offsetOfByte(text: string, byte: number): number {
  return Buffer.from(text, 'utf8').subarray(0, Math.max(0, byte)).toString('utf8').length;
}
