/** What people type: inputs, labels, numbers, states. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { nearest, quoted } from '../config/text.js';
import { VaporaError } from '../core/errors.js';
import { INSTANCE_TRANSITIONS, type InstanceStatus } from '../core/instance.js';
import { inputTooLarge, MAX_JSON_DEPTH, parseJsonInput } from '../engine/json-input.js';
import type { Host } from './shell.js';

const SCALAR = /^\s*(-?\d[\d.eE+-]*|true|false|null)\s*$/;

/**
 * The value that `--input` means: JSON where it looks like JSON (begins with `{`, `[` or `"`, or is a number, `true`, `false` or
 * `null`), stdin for `-`, else the content of a file. Throws `input_invalid`, `input_too_large`.
 */
export async function readInput(argument: string, host: Host, maxBytes: number): Promise<unknown> {
  const limits = { maxBytes, maxDepth: MAX_JSON_DEPTH };
  if (/^\s*[{["]/.test(argument) || SCALAR.test(argument)) {
    return parseJsonInput(argument, limits, 'the input');
  }
  if (argument === '-') return parseJsonInput(await readStdin(host, maxBytes), limits, 'the input on stdin');
  const name = `input file ${quoted(argument)}`;
  return parseJsonInput(await readText(resolve(host.cwd, argument), name, maxBytes), limits, name);
}

async function readStdin(host: Host, maxBytes: number): Promise<string> {
  const name = 'the input on stdin';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of host.stdin) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    size += bytes.length;
    if (size > maxBytes) throw inputTooLarge(name, size, maxBytes);
    chunks.push(bytes);
  }
  return decode(Buffer.concat(chunks), name);
}

/** Reads a file whose size is known to be within the limit; no more of it, should it grow meanwhile. */
async function readText(file: string, name: string, maxBytes: number): Promise<string> {
  if (file.includes('\0')) throw new VaporaError('input_invalid', `${name} is not there`);
  // without O_NONBLOCK, opening a named pipe would wait for its writer
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(name, error);
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new VaporaError('input_invalid', `${name} is not a file`, { hint: 'give `-` to read stdin' });
    }
    if (stats.size > maxBytes) throw inputTooLarge(name, stats.size, maxBytes);
    return decode(await handle.readFile(), name);
  } finally {
    await handle.close();
  }
}

function unreadable(name: string, error: unknown): VaporaError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const hint = 'an input is a file, `-` for stdin, or JSON such as `{"key": "value"}`';
    return new VaporaError('input_invalid', `${name} is not there`, { hint, cause: error });
  }
  return new VaporaError('input_invalid', `${name} can't be read: ${String(code ?? error)}`, {
    cause: error,
  });
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new VaporaError('input_invalid', `${name} is not UTF-8 text`, { cause });
  }
}

/** `key=value` pairs; the value may hold further `=`. Throws `usage`, also for a key given twice. */
export function parseLabels(pairs: readonly string[]): Record<string, string> {
  const labels = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new VaporaError('usage', `label ${quoted(pair)} is not of the form \`key=value\``);
    const key = pair.slice(0, at);
    if (labels.has(key)) throw new VaporaError('usage', `label ${quoted(key)} is given twice`);
    labels.set(key, pair.slice(at + 1));
  }
  return Object.fromEntries(labels);
}

/** A whole number from `min` to `max`. Throws `usage`. */
export function parseCount(text: string, option: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new VaporaError('usage', `${option} ${quoted(text)} is not a whole number from ${min} to ${max}`);
}

const MOMENT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** A day, which begins at midnight UTC, or a moment with its time zone, as ISO 8601; answers milliseconds. Throws `usage`. */
export function parseMoment(text: string, option: string): number {
  const at = MOMENT.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new VaporaError('usage', `${option} ${quoted(text)} is not a date or time of ISO 8601`, {
    hint: 'for example `2026-03-01` or `2026-03-01T08:30:00Z`',
  });
}

/** Throws `usage`. */
export function parseState(text: string): InstanceStatus {
  const states = Object.keys(INSTANCE_TRANSITIONS);
  if (isStatus(text)) return text;
  const near = nearest(text, states);
  const hint = near === undefined ? `states are ${states.join(', ')}` : `did you mean \`${near}\`?`;
  throw new VaporaError('usage', `there is no state ${quoted(text)}`, { hint });
}

function isStatus(text: string): text is InstanceStatus {
  return Object.hasOwn(INSTANCE_TRANSITIONS, text);
}

/** Text that must say something. Throws `usage`. */
export function requireText(text: string, option: string): string {
  if (text.trim() === '') throw new VaporaError('usage', `${option} must not be empty`);
  return text;
}
