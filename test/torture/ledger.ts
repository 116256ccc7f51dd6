/** The ledger: what agents did, on disk before they say so, where no engine can change it. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** `b` an attempt began; `e` it had its effect; `d` it is done and is about to say so. */
export type Mark = 'b' | 'e' | 'd';

export interface LedgerLine {
  readonly mark: Mark;
  /** Idempotency key. */
  readonly key: string;
  readonly attempt: number;
}

export function readLedger(path: string): LedgerLine[] {
  const lines: LedgerLine[] = [];
  for (const line of textOf(path).split('\n')) {
    const [mark, key, attempt] = line.split(' ');
    const isWhole = (mark === 'b' || mark === 'e' || mark === 'd') && key !== undefined;
    // a line that was cut off by a kill says nothing
    if (isWhole && attempt !== undefined) lines.push({ mark, key, attempt: Number(attempt) });
  }
  return lines;
}

export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Lines that are there once the call returns, even if the process is killed: what was told to a client. */
export class Notes {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  write(...words: readonly string[]): void {
    writeSync(this.#file, `${words.join(' ')}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** The ledger of the agents in an engine's process: whoever writes while the disk is busy shares the next sync. */
export class Ledger {
  readonly #file: FileHandle;
  readonly #effects: Set<string>;
  #lines: string[] = [];
  #next: Promise<void> | null = null;
  #syncing: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle, effects: Set<string>) {
    this.#file = file;
    this.#effects = effects;
  }

  static async open(path: string): Promise<Ledger> {
    const effects = readLedger(path).filter(({ mark }) => mark === 'e');
    const file = await open(path, 'a');
    // whatever a kill has cut off must not run into the first new line
    if (effects.length > 0) await file.appendFile('\n');
    return new Ledger(file, new Set(effects.map(({ key }) => key)));
  }

  /** Resolves once it is on disk. */
  write(mark: Mark, key: string, attempt: number): Promise<void> {
    this.#lines.push(`${mark} ${key} ${attempt}\n`);
    this.#next ??= this.#syncing.then(() => this.#sync());
    return this.#next;
  }

  /** Has the effect of the key, once and for all attempts; resolves once that is on disk. */
  async act(key: string, attempt: number): Promise<void> {
    if (this.#effects.has(key)) return;
    this.#effects.add(key);
    await this.write('e', key, attempt);
  }

  #sync(): Promise<void> {
    const text = this.#lines.join('');
    this.#lines = [];
    this.#next = null;
    this.#syncing = this.#file.appendFile(text).then(() => this.#file.sync());
    return this.#syncing;
  }
}
