/** How values become text that is safe and pleasant to read on a terminal. */

// Control, format and bidirectional characters, line separators and lone surrogates: what could rearrange or drive a terminal.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const MAX_SHOWN_CHARACTERS = 2_000;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Text from users, agents and errors: on one line, control characters escaped, cut after `max` characters. */
export function clean(text: string, max = MAX_SHOWN_CHARACTERS): string {
  const characters = [...text.slice(0, 2 * (max + 1))];
  const head = characters.length > max ? `${characters.slice(0, max - 1).join('')}…` : text;
  return head.replace(UNSAFE, (character) => NAMED[character] ?? escaped(character));
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}}`;
}

/** `850ms`, `1.2s`, `2m 03s`, `1h 02m`, `3d 04h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)}d ${pad(hours % 24)}h`;
  return hours > 0 ? `${hours}h ${pad(minutes % 60)}m` : `${minutes}m ${pad(seconds % 60)}s`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB'] as const;

/** `12 B`, `3.4 KiB`. */
export function byteSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `2026-11-23 19:50:28Z`. */
export function moment(ms: number): string {
  return `${isoTime(ms).slice(0, 19).replace('T', ' ')}Z`;
}

/** ISO 8601 with milliseconds, as JSON output has it. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** `1 stage`, `3 stages`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

// What comes after these has no width of its own, or a double one. Exact enough to keep columns aligned.
const ZERO_WIDTH = /\p{Mn}|\p{Me}|\p{Cf}/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Columns that text without escape sequences takes on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (ZERO_WIDTH.test(character)) continue;
    columns += WIDE.test(character) ? 2 : 1;
  }
  return columns;
}

/** Fills `text` with blanks up to `columns`. */
export function padTo(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)));
}

/** Cuts `text` so that it takes at most `columns`. */
export function cutTo(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  let used = 1;
  for (const character of text) {
    used += width(character);
    if (used > columns) break;
    kept += character;
  }
  return columns < 1 ? '' : `${kept}…`;
}
