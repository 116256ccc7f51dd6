/** Backups as files: compressed, private, and there only once they are whole. */
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { VaporaError } from '../core/errors.js';
import type { BackupLine, BackupSummary } from './format.js';
import { inspectBackup, invalid, readLines } from './read.js';

/** Fast: a backup waits for the reading of the store, not for the last percent. */
const LEVEL = 4;

/** The bytes of a backup of these lines. Ends with an error where the lines do. */
export function compress(lines: AsyncIterable<string>): Readable {
  const gzip = createGzip({ level: LEVEL });
  // an error of one end is an error of the other
  pipeline(Readable.from(lines), gzip).catch((error: Error) => gzip.destroy(error));
  return gzip;
}

/** Writes, checks what was written, and only then gives it its name. Throws `backup_invalid`, `usage` where the file can't be written. */
export async function saveBackup(path: string, bytes: AsyncIterable<Uint8Array>): Promise<BackupSummary> {
  const part = `${path}.part`;
  const file = await open(part, 'wx', 0o600).catch((cause: unknown) => {
    throw new VaporaError('usage', `\`${part}\` can not be made`, {
      cause,
      hint: 'is another backup being written there?',
    });
  });
  try {
    try {
      for await (const chunk of bytes) await file.write(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    const summary = await inspectBackup(readLines(textsOf(part)));
    await rename(part, path);
    const directory = await open(dirname(path), 'r');
    await directory.sync().finally(() => directory.close());
    return summary;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** The lines of a backup file. Throws `backup_invalid`, `usage` where there is no such file. */
export function readBackup(path: string): AsyncGenerator<BackupLine> {
  return readLines(textsOf(path));
}

async function* textsOf(path: string): AsyncGenerator<string> {
  const gunzip = createGunzip();
  const source = createReadStream(path);
  pipeline(source, gunzip).catch((error: Error) => gunzip.destroy(error));
  try {
    for await (const text of gunzip.setEncoding('utf8')) yield String(text);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (code.startsWith('Z_'))
      throw invalid(code === 'Z_BUF_ERROR' ? 'it is cut off' : 'it is damaged', cause);
    if (cause instanceof VaporaError) throw cause;
    throw new VaporaError('usage', `the backup \`${path}\` can not be read`, { cause });
  } finally {
    source.destroy();
  }
}
