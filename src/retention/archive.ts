/** Histories of instances that go, as files: the lines that `audit export` prints. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Entry } from '../core/events.js';

export class Archive {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Writes histories, one after the other, into one file of that name; resolves with its path once it is on disk whole. What is
   * there under that name already is replaced.
   */
  async write(name: string, histories: readonly AsyncIterable<Entry>[]): Promise<string> {
    const path = join(this.#directory, name);
    const part = `${path}.part`;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = await open(part, 'w', 0o600);
    try {
      for (const history of histories) {
        for await (const entry of history) await file.appendFile(`${JSON.stringify(entry)}\n`);
      }
      await file.sync();
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    await rename(part, path);
    await syncDirectory(this.#directory);
    return path;
  }
}

/** So that the new name outlives a crash too. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
