/** What a command says on stdout: progress and step lines while it works, and one result. No input or output in here. */
import { isUtf8 } from 'node:buffer';
import { findAmbiguity } from '../config/exact-json.js';
import type { StepResult } from '../core/instance.js';
import type { Progress } from '../core/ports.js';
import { checkStepName, fractionOf } from './context.js';
import { clip, ProtocolError, quote } from './outcome.js';

export type Word =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'step'; readonly step: StepResult };

export interface StdoutEnd {
  /** The last line may be a word without a line end. */
  readonly words: readonly Word[];
  /** The result as parsed, not yet checked; undefined where nothing was said. */
  readonly result: unknown;
  /** Text beside the result, which is tolerated: for the log. */
  readonly noise: string;
}

const NEWLINE = 0x0a;

/**
 * Takes stdout in chunks of any size and gives the words in it. What is no word is kept, up to `maxBytes`, until the end; no line may
 * be longer. How the chunks are cut makes no difference.
 * After a {@link ProtocolError} it must not be used any more.
 */
export class StdoutReader {
  readonly #rest = new ByteBuffer();
  /** The line that has no end yet. */
  readonly #line = new ByteBuffer();
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws {@link ProtocolError} on too much output and on a progress or step line of the wrong shape. */
  push(chunk: Uint8Array): Word[] {
    const words: Word[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#line.append(chunk.subarray(start, end + 1));
      this.#endLine(words);
      start = end + 1;
    }
    this.#line.append(chunk.subarray(start));
    // a line that has no end yet may be a word, which does not count
    this.#checkSize(this.#line.length);
    return words;
  }

  /** Throws {@link ProtocolError} where something was said but no result can be found in it, or one that can't be kept as it is. */
  end(): StdoutEnd {
    const words: Word[] = [];
    this.#endLine(words);
    const bytes = this.#rest.bytes();
    if (!isUtf8(bytes)) {
      throw new ProtocolError(`wrote bytes on stdout that are not UTF-8: ${quote(this.rest())}`);
    }
    return { words, ...findResult(this.rest()) };
  }

  /** What was said so far beside words, however it is encoded. */
  rest(): string {
    return Buffer.from(this.#rest.bytes()).toString('utf8');
  }

  #endLine(words: Word[]): void {
    const line = this.#line.bytes();
    if (line.length === 0) return;
    this.#checkSize(line.length);
    const word = wordOf(line);
    if (word === null) this.#rest.append(line);
    else words.push(word);
    this.#line.clear();
    this.#checkSize(this.#rest.length);
  }

  #checkSize(bytes: number): void {
    if (bytes <= this.#maxBytes) return;
    throw new ProtocolError(`wrote more than the ${this.#maxBytes} bytes on stdout allowed`);
  }
}

/** Null for a line that is neither progress nor a step. Throws {@link ProtocolError} where it means to be one and is not. */
function wordOf(line: Uint8Array): Word | null {
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
  // most lines are none; don't parse megabytes to find that out
  if (!text.includes('"progress"') && !text.includes('"step"')) return null;
  if (!isUtf8(line)) return null;
  const json = text.toString('utf8').trim();
  const value = parseObject(json);
  if (value === null || 'artifacts' in value || 'output' in value) return null;
  if (Object.hasOwn(value, 'step')) {
    refuseAmbiguity(json, 'a step line');
    return { type: 'step', step: stepOf(value) };
  }
  return Object.hasOwn(value, 'progress') ? { type: 'progress', progress: progressOf(value) } : null;
}

function progressOf(value: Record<string, unknown>): Progress {
  const { progress } = value;
  if (typeof progress !== 'string') {
    throw new ProtocolError(`wrote a progress line whose \`progress\` is no text: ${quote(value)}`);
  }
  return { message: clip(progress), fraction: fractionOf(value.fraction) };
}

function stepOf(value: Record<string, unknown>): StepResult {
  const { step } = value;
  if (typeof step !== 'object' || step === null || !('name' in step) || !('value' in step)) {
    throw new ProtocolError(`wrote a step line without \`name\` and \`value\`: ${quote(value)}`);
  }
  checkStepName(step.name);
  return { name: step.name, value: step.value };
}

/**
 * All of it may be one JSON object over many lines; or the object begins with the last line that starts with `{`, and ends with
 * that line or with everything.
 */
function findResult(text: string): { readonly result: unknown; readonly noise: string } {
  if (text.trim() === '') return { result: undefined, noise: '' };
  const whole = resultIn(text);
  if (whole !== null) return { result: whole, noise: '' };
  const start = text.lastIndexOf('\n{') + 1;
  if (text.startsWith('{', start)) {
    const tail = resultIn(text.slice(start));
    if (tail !== null) return { result: tail, noise: text.slice(0, start) };
    const lineEnd = text.indexOf('\n', start);
    const end = lineEnd < 0 ? text.length : lineEnd;
    const line = resultIn(text.slice(start, end));
    if (line !== null) return { result: line, noise: text.slice(0, start) + text.slice(end + 1) };
  }
  throw new ProtocolError(`wrote no JSON result on stdout but ${quote(text)}`);
}

function resultIn(text: string): Record<string, unknown> | null {
  const json = text.trim();
  const value = parseObject(json);
  if (value !== null) refuseAmbiguity(json, 'a result');
  return value;
}

/** What is kept is what was said, or it is refused. */
function refuseAmbiguity(json: string, what: string): void {
  const ambiguity = findAmbiguity(json);
  if (ambiguity !== null) throw new ProtocolError(`wrote ${what} that ${ambiguity.message}`);
}

function parseObject(text: string): Record<string, unknown> | null {
  if (!text.startsWith('{') || !text.endsWith('}')) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

/** Grows by doubling, so that neither many small chunks nor large ones cost more than twice their bytes. */
class ByteBuffer {
  #bytes = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(more: Uint8Array): void {
    const needed = this.#length + more.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2, 256));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(more, this.#length);
    this.#length = needed;
  }

  /** Valid until the next change. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    // one long line must not be held for ever
    if (this.#bytes.length > 65_536) this.#bytes = new Uint8Array(0);
    this.#length = 0;
  }
}
