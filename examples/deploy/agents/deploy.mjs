/** Stage `deploy`: builds the release in its slot, switches `current` to it in one step, and has the host load it. */
import { createHash } from 'node:crypto';
import { cp, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { agent, artifactOf, packageOf, progress, readJson, writeJson } from './task.mjs';

async function execute(task, site) {
  const { dir: slot } = artifactOf(task.artifacts, 'slot');
  const { version, dir } = packageOf(task);
  const release = join(slot, 'release');
  progress(`building ${version}`, 0.2);
  await cp(dir, release, { recursive: true });
  const manifest = { version, files: await checksums(release) };
  await writeJson(join(slot, 'manifest.json'), manifest);

  // written before the switch, so that taking back knows the way even if we are killed in between
  const note = join(slot, 'deployment.json');
  const before = await readJson(note).catch(() => null);
  if (before === null) await writeJson(note, { previous: await currentOf(site) });
  progress('switching', 0.7);
  await pointCurrentTo(site, relative(site, slot));
  await reload(site);
  return {
    artifacts: [{ name: 'manifest', kind: 'code', content: manifest }],
    output: { version, files: manifest.files.length },
  };
}

async function compensate(task, site) {
  const { dir: slot } = artifactOf(task.original_context.artifacts, 'slot');
  const note = await readJson(join(slot, 'deployment.json')).catch(() => null);
  if (note === null) return;
  if (note.previous === null) await rm(join(site, 'current'), { force: true });
  else await pointCurrentTo(site, note.previous);
  await reload(site).catch((error) => {
    if (!(error instanceof HostDown)) throw error;
  });
  await rm(join(slot, 'release'), { recursive: true, force: true });
  progress(note.previous === null ? 'nothing is served again' : `${basename(note.previous)} is served again`);
}

async function checksums(dir) {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hashed = files.sort().map(async (file) => ({
    file: relative(dir, file),
    sha256: createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
  }));
  return Promise.all(hashed);
}

async function currentOf(site) {
  return readlink(join(site, 'current')).catch(() => null);
}

/** A link can't be changed, but another one can take its name: whoever reads it sees the old target or the new. */
async function pointCurrentTo(site, target) {
  const next = join(site, 'current.next');
  await rm(next, { force: true });
  await symlink(target, next);
  await rename(next, join(site, 'current'));
}

/** Nobody serves anything. Worth another attempt for a release; and no obstacle to taking one back, as a host loads `current` anew. */
class HostDown extends Error {}

async function reload(site) {
  const address = await readJson('site/host.json').catch(() => null);
  const url = `${address?.url}/${basename(site)}/reload`;
  const response = address && (await fetch(url, { method: 'POST' }).catch(() => null));
  if (!response) throw new HostDown('the host does not answer: start it with `node host.mjs`');
  if (!response.ok) throw new Error(`the host could not load the release: ${await response.text()}`);
}

await agent({ execute, compensate });
