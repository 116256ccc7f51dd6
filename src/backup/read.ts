/** Reads the lines of a backup, and knows one that is cut off or was changed. */
import { createHash } from 'node:crypto';
import { VaporaError } from '../core/errors.js';
import {
  type BackupLine,
  type BackupSummary,
  FORMAT,
  FORMAT_VERSION,
  MAX_LINE_CHARACTERS,
} from './format.js';

/** Throws `backup_invalid` where the text is not a whole backup, at the latest at its end. */
export async function* readLines(texts: AsyncIterable<string>): AsyncGenerator<BackupLine> {
  const hash = createHash('sha256');
  let lines = 0;
  let isOver = false;
  for await (const text of splitLines(texts)) {
    if (isOver) throw invalid('something follows its end');
    const line = parseLine(text);
    if (lines === 0) checkBegin(line);
    if (line.kind === 'end') {
      if (line.lines !== lines || line.sha256 !== hash.digest('hex'))
        throw invalid('it was changed after it was written');
      isOver = true;
    } else {
      hash.update(`${text}\n`);
      lines += 1;
      yield line;
    }
  }
  if (!isOver) throw invalid('it is cut off');
}

/** What is in it, after reading all of it. Throws `backup_invalid`. */
export async function inspectBackup(lines: AsyncIterable<BackupLine>): Promise<BackupSummary> {
  const counts = { at: 0, instances: 0, entries: 0, contents: 0 };
  const broken: { id: BackupSummary['broken'][number]['id']; reason: string }[] = [];
  for await (const line of lines) {
    if (line.kind === 'begin') counts.at = line.at;
    if (line.kind === 'instance') counts.instances += 1;
    if (line.kind === 'entry') counts.entries += 1;
    if (line.kind === 'content' && line.isLast) counts.contents += 1;
    if (line.kind === 'broken') broken.push({ id: line.id, reason: line.reason });
  }
  return { ...counts, broken };
}

export function invalid(reason: string, cause?: unknown): VaporaError {
  return new VaporaError('backup_invalid', `this is not a whole backup: ${reason}`, {
    hint: 'take an earlier backup; nothing that this one holds can be relied on',
    ...(cause === undefined ? {} : { cause }),
  });
}

async function* splitLines(texts: AsyncIterable<string>): AsyncGenerator<string> {
  let parts: string[] = [];
  let size = 0;
  for await (const text of texts) {
    const [first = '', ...rest] = text.split('\n');
    parts.push(first);
    size += first.length;
    if (size > MAX_LINE_CHARACTERS) throw invalid('a line is too long');
    for (const next of rest) {
      yield parts.join('');
      parts = [next];
      size = next.length;
    }
  }
  if (size > 0) throw invalid('it is cut off');
}

function parseLine(text: string): BackupLine {
  try {
    const line: unknown = JSON.parse(text);
    if (typeof line === 'object' && line !== null && 'kind' in line) return line as BackupLine;
  } catch (cause) {
    throw invalid('a line is not JSON', cause);
  }
  throw invalid('a line says not what it is');
}

function checkBegin(line: BackupLine): void {
  if (line.kind !== 'begin' || line.format !== FORMAT) throw invalid('it does not begin like one');
  if (line.version === FORMAT_VERSION) return;
  throw new VaporaError(
    'backup_invalid',
    `the backup has version ${line.version} of the format, this engine reads ${FORMAT_VERSION}`,
    {
      hint: 'restore it with the version of the engine that wrote it',
    },
  );
}
