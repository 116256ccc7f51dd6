/** The last bytes of a log. */

export class LogTail {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isCut = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  write(chunk: string | Uint8Array): void {
    const bytes = Buffer.from(chunk);
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    // at twice the size, so that each byte is copied once on average
    if (this.#bytes > 2 * this.#maxBytes || this.#chunks.length > 1_024) this.#compact();
  }

  /** Null where nothing was written. Begins at a line where something was cut off, if there is one. */
  bytes(): Uint8Array | null {
    this.#compact();
    const [kept] = this.#chunks;
    if (kept === undefined) return null;
    if (!this.#isCut) return new Uint8Array(kept);
    const lineEnd = kept.indexOf(0x0a);
    return new Uint8Array(lineEnd < 0 || lineEnd === kept.length - 1 ? kept : kept.subarray(lineEnd + 1));
  }

  /** The last line that is not blank; null where there is none. */
  lastLine(): string | null {
    const text = Buffer.from(this.bytes() ?? []).toString('utf8');
    return text.trimEnd().split('\n').at(-1)?.trim() || null;
  }

  #compact(): void {
    if (this.#bytes === 0) return;
    const all =
      this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#isCut ||= all.length > this.#maxBytes;
    // a copy, so that a large chunk is not held for the sake of its end
    const kept = all.length > this.#maxBytes ? Buffer.from(all.subarray(all.length - this.#maxBytes)) : all;
    this.#chunks = [kept];
    this.#bytes = kept.length;
  }
}
