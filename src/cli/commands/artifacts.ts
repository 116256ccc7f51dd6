/** `vapora artifacts`: what an instance has made. */
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { quoted } from '../../config/text.js';
import type { InstanceArtifact } from '../../core/api.js';
import { VaporaError } from '../../core/errors.js';
import { artifactJson } from '../json.js';
import { guess } from '../nearest.js';
import { readEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { byteSize, clean } from '../text.js';

export interface ArtifactsOptions {
  readonly output?: string;
}

export async function artifacts(
  shell: Shell,
  id: string,
  name: string | undefined,
  options: ArtifactsOptions,
): Promise<number> {
  const { output } = options;
  if (output !== undefined && name === undefined) {
    throw new VaporaError('usage', '`--output` needs the name of an artifact');
  }
  return readEngine(shell, async ({ api }) => {
    const all = await api.artifacts(id);
    if (name === undefined) {
      shell.json({ workflow_id: id, artifacts: all.map(artifactJson) });
      shell.say(...listLines(all, shell));
      return 0;
    }
    const found = pick(all, name, id);
    const content = await api.content(id, found);
    if (output === undefined) showContent(shell, found, content);
    else {
      const file = await writeAtomically(resolve(shell.host.cwd, output), content, shell.clock.newId());
      shell.json({ ...artifactJson(found), file });
      shell.say(`wrote ${byteSize(content.length)} to ${clean(file)}`);
    }
    return 0;
  });
}

function listLines(all: readonly InstanceArtifact[], { colors }: Shell): string[] {
  if (all.length === 0) return ['no artifacts'];
  const rows = all.map(({ stage, role, name, kind, size, digest }) => [
    clean(stage),
    clean(name),
    clean(kind),
    clean(role),
    byteSize(size),
    digest.slice(0, 12),
  ]);
  return tableLines(['STAGE', 'NAME', 'KIND', 'ROLE', 'SIZE', 'SHA-256'], rows, colors);
}

/** The one made last of that name; `stage/name` says of which stage. Throws `artifact_unknown`. */
export function pick(all: readonly InstanceArtifact[], wanted: string, id: string): InstanceArtifact {
  const found = all.findLast(({ stage, name }) => wanted === name || wanted === `${stage}/${name}`);
  if (found !== undefined) return found;
  const names = [...new Set(all.map(({ name }) => name))];
  const hint = guess(wanted, names, 'its artifacts', 'it has made none');
  throw new VaporaError('artifact_unknown', `instance \`${id}\` has no artifact ${quoted(wanted)}`, { hint });
}

function showContent(shell: Shell, artifact: InstanceArtifact, content: Uint8Array): void {
  if (!shell.isJson) {
    shell.host.stdout.write(content);
    return;
  }
  const text = utf8OrNull(content);
  const encoded =
    text === null
      ? { encoding: 'base64', content: Buffer.from(content).toString('base64') }
      : { encoding: 'utf8', content: text };
  shell.json({ ...artifactJson(artifact), ...encoded });
}

function utf8OrNull(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A reader of the file sees the old content or the new, never a part. */
async function writeAtomically(file: string, content: Uint8Array, unique: string): Promise<string> {
  const existing = await stat(file).catch(() => null);
  if (existing?.isDirectory() || file.endsWith('/')) {
    throw new VaporaError('usage', `\`--output\` ${quoted(file)} is a directory, not a file`);
  }
  const draft = join(dirname(file), `.${basename(file).slice(0, 100)}.${unique}`);
  try {
    await writeFile(draft, content, { flag: 'wx' });
    await rename(draft, file);
  } catch (cause) {
    await rm(draft, { force: true });
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new VaporaError('usage', `\`--output\` ${quoted(file)} can't be written: ${code}`, { cause });
  }
  return file;
}
