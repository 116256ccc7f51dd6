/** `vapora init`: writes a working pipeline with agents, policies and tests to start from. */
import { access, chmod, mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VaporaError } from '../../core/errors.js';
import type { Shell } from '../shell.js';
import { clean } from '../text.js';

/** npm leaves files called `.gitignore` out of packages, so it is kept under another name. */
const RENAMED: ReadonlyMap<string, string> = new Map([['gitignore', '.gitignore']]);
const EXECUTABLE = /\.(sh|mjs)$/;

interface Draft {
  /** Relative to the new directory. */
  readonly name: string;
  readonly content: Uint8Array;
}

export async function init(shell: Shell, directory: string): Promise<number> {
  const target = resolve(shell.host.cwd, directory);
  const drafts = await readTemplates();
  await refuseExisting(target, drafts);
  await writeAll(target, drafts);
  const names = drafts.map(({ name }) => name);
  shell.json({ directory: target, files: names });
  const where = relative(shell.host.cwd, target);
  shell.say(`${shell.colors.green('✓')} made a pipeline in ${clean(where === '' ? '.' : where)}:`);
  for (const name of names) shell.say(`  ${name}`);
  shell.say('', 'next:');
  if (where !== '') shell.say(`  cd ${clean(where)}`);
  shell.say('  vapora check', '  vapora run hello', '  node test.mjs');
  return 0;
}

async function readTemplates(): Promise<readonly Draft[]> {
  const root = fileURLToPath(new URL('../../../config/init/', import.meta.url));
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const drafts = await Promise.all(
    files.map(async (entry) => {
      const file = join(entry.parentPath, entry.name);
      const name = RENAMED.get(entry.name) ?? entry.name;
      return { name: join(relative(root, entry.parentPath), name), content: await readFile(file) };
    }),
  );
  return drafts.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function refuseExisting(target: string, drafts: readonly Draft[]): Promise<void> {
  const existing: string[] = [];
  for (const { name } of drafts) {
    const isThere = await access(join(target, name)).then(
      () => true,
      () => false,
    );
    if (isThere) existing.push(name);
  }
  if (existing.length === 0) return;
  const problems = existing.map((name) => ({
    severity: 'error' as const,
    message: `\`${name}\` is there already`,
  }));
  throw new VaporaError('usage', `nothing is written: \`${target}\` has files that would be overwritten`, {
    problems,
    hint: 'name another directory',
  });
}

/** All or nothing: what was made is removed again when something fails. */
async function writeAll(target: string, drafts: readonly Draft[]): Promise<void> {
  const made: string[] = [];
  const madeDirectories: string[] = [];
  try {
    for (const { name, content } of drafts) {
      const file = join(target, name);
      const first = await mkdir(dirname(file), { recursive: true });
      if (first !== undefined) madeDirectories.push(first);
      await writeFile(file, content, { flag: 'wx' });
      made.push(file);
      if (EXECUTABLE.test(name)) await chmod(file, 0o755);
    }
  } catch (cause) {
    for (const file of made) await rm(file, { force: true });
    for (const directory of madeDirectories.reverse()) await removeEmpty(directory);
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new VaporaError('usage', `\`${target}\` can't be written to: ${code}`, { cause });
  }
}

async function removeEmpty(directory: string): Promise<void> {
  const inner = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of inner) if (entry.isDirectory()) await removeEmpty(join(directory, entry.name));
  // what others have put there stays
  await rmdir(directory).catch(() => undefined);
}
