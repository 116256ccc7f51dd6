/** Reads a policy directory: texts and nothing else. Every file that can't be read is a problem, none is passed over. */
import { type FileHandle, open, opendir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { PolicyFile } from '../core/decision-log.js';
import { type Problem, VaporaError } from '../core/errors.js';

/** Policies are written by people; a file above this is a mistake, and evaluation time grows with them. */
export const MAX_POLICY_FILE_BYTES = 256 * 1_024;
export const MAX_POLICY_FILES = 2_000;
export const MAX_ENTITIES_FILE_BYTES = 4 * 1_024 * 1_024;
const MAX_TOTAL_BYTES = 16 * 1_024 * 1_024;
/** Entries of any kind, so that pointing at a huge directory by mistake ends soon. */
const MAX_ENTRIES = 100_000;

export const ENTITIES_FILE = 'entities.json';

export interface TextFile {
  /** As the user would write it: the directory as given, and the file's name. */
  readonly path: string;
  readonly name: string;
  readonly text: string;
}

export interface PolicyDirectory {
  readonly path: string;
  /** `*.cedar` and `*.cedarschema`, each sorted by name. */
  readonly policies: readonly TextFile[];
  readonly schemas: readonly TextFile[];
  readonly entities: TextFile | null;
  readonly problems: readonly Problem[];
}

const problemAt = (file: string, message: string, hint?: string): Problem => ({
  message,
  place: { file, line: 1, column: 1 },
  severity: 'error',
  ...(hint === undefined ? {} : { hint }),
});

/** Throws `policy_invalid` where the directory itself can't be read or holds too much; what is wrong with a file is a problem. */
export async function readPolicyDirectory(path: string): Promise<PolicyDirectory> {
  const names = await listNames(path);
  const problems: Problem[] = [];
  const policies: TextFile[] = [];
  const schemas: TextFile[] = [];
  let entities: TextFile | null = null;
  let total = 0;
  for (const name of names) {
    const limit = name === ENTITIES_FILE ? MAX_ENTITIES_FILE_BYTES : MAX_POLICY_FILE_BYTES;
    const file = await readText(join(path, name), limit);
    if ('message' in file) {
      problems.push(file);
      continue;
    }
    total += file.text.length;
    if (total > MAX_TOTAL_BYTES) throw refused(path, `holds more than ${MAX_TOTAL_BYTES} bytes of policies`);
    if (name === ENTITIES_FILE) entities = file;
    else if (name.endsWith('.cedar')) policies.push(file);
    else schemas.push(file);
  }
  return { path, policies, schemas, entities, problems };
}

/** The same of files at hand. What no policy directory holds is passed over, as it is on a disk. Throws `policy_invalid`. */
export function directoryOf(path: string, files: readonly PolicyFile[]): PolicyDirectory {
  const known = files.filter(({ name }) => isPolicyInput(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const characters = known.reduce((sum, { text }) => sum + text.length, 0);
  if (characters > MAX_TOTAL_BYTES)
    throw refused(path, `holds more than ${MAX_TOTAL_BYTES} bytes of policies`);
  if (known.length > MAX_POLICY_FILES)
    throw refused(path, `holds more than ${MAX_POLICY_FILES} policy files`);
  const texts = known.map(({ name, text }): TextFile => ({ path: `${path}/${name}`, name, text }));
  return {
    path,
    policies: texts.filter(({ name }) => name.endsWith('.cedar')),
    schemas: texts.filter(({ name }) => name.endsWith('.cedarschema')),
    entities: texts.find(({ name }) => name === ENTITIES_FILE) ?? null,
    problems: [],
  };
}

function refused(path: string, why: string, cause?: unknown): VaporaError {
  const message = `policy directory \`${path}\` ${why}`;
  return new VaporaError('policy_invalid', message, { problems: [problemAt(path, message)], cause });
}

function isPolicyInput(name: string): boolean {
  return name === ENTITIES_FILE || name.endsWith('.cedar') || name.endsWith('.cedarschema');
}

async function listNames(path: string): Promise<readonly string[]> {
  const names: string[] = [];
  let entries = 0;
  try {
    for await (const entry of await opendir(path)) {
      if (isPolicyInput(entry.name)) names.push(entry.name);
      entries++;
      if (names.length > MAX_POLICY_FILES || entries > MAX_ENTRIES) break;
    }
  } catch (cause) {
    throw refused(path, reasonOf(cause), cause);
  }
  if (names.length > MAX_POLICY_FILES)
    throw refused(path, `holds more than ${MAX_POLICY_FILES} policy files`);
  if (entries > MAX_ENTRIES) throw refused(path, `holds more than ${MAX_ENTRIES} entries`);
  return names.sort();
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is not a directory',
  EACCES: 'may not be read',
  EPERM: 'may not be read',
  EISDIR: 'is a directory, not a file',
  ELOOP: 'is a loop of links',
};

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return REASONS[code] ?? `can't be read: ${code}`;
}

async function readText(path: string, maxBytes: number): Promise<TextFile | Problem> {
  const name = basename(path);
  try {
    // Asked before opening, because opening a pipe waits for its other end.
    const kind = await stat(path);
    if (kind.isDirectory()) return problemAt(path, `\`${name}\` is a directory, not a file`);
    if (!kind.isFile()) return problemAt(path, `\`${name}\` is not a regular file`);
    const handle = await open(path, 'r');
    try {
      const bytes = await readAtMost(handle, maxBytes);
      if (bytes === null) return problemAt(path, `\`${name}\` is larger than ${maxBytes} bytes`);
      return { path, name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof TypeError) return problemAt(path, `\`${name}\` is not UTF-8 text`);
    return problemAt(path, `\`${name}\` ${reasonOf(error)}`);
  }
}

/** The whole content, or null where there is more than `maxBytes`, whatever its size was said to be. */
async function readAtMost(handle: FileHandle, maxBytes: number): Promise<Uint8Array | null> {
  const buffer = Buffer.alloc(Math.min(maxBytes, (await handle.stat()).size) + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  return length > maxBytes ? null : buffer.subarray(0, length);
}
