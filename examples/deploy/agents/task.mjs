/** What the agents of this example share: the task on stdin, words on stdout, files that change in one step. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** A failure that the same attempt would meet again: the stage fails at once. */
export class Permanent extends Error {}

/**
 * Runs `execute` for a task or `compensate` for taking one back, with the task and the directory of its environment.
 * Exit code 1 fails the stage for good, 75 asks to be tried again.
 */
export async function agent({ execute, compensate }) {
  const task = JSON.parse(await text(process.stdin));
  try {
    const site = siteOf(task.labels.env ?? 'staging');
    const result = await (task.type === 'compensation' ? compensate(task, site) : execute(task, site));
    process.stdout.write(`${JSON.stringify(result ?? {})}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = error instanceof Permanent ? 1 : 75;
  }
}

/** A line for whoever watches. `fraction` is 0 to 1. */
export function progress(message, fraction) {
  process.stdout.write(`${JSON.stringify({ progress: message, fraction })}\n`);
}

function siteOf(env) {
  // it becomes a part of a path
  if (!/^[a-z][a-z0-9-]*$/.test(env)) throw new Permanent(`\`${env}\` is no environment`);
  return join('site', env);
}

/** The package of the version that is to be released. */
export function packageOf(task) {
  const version = task.input?.version ?? task.original_context?.input?.version;
  if (typeof version !== 'string' || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Permanent('the input has no `version` such as "1.0.0"');
  }
  return { version, dir: join('packages', version) };
}

/** Content of an artifact that an earlier stage handed on, as JSON. */
export function artifactOf(artifacts, name) {
  const found = artifacts.findLast((artifact) => artifact.name === name);
  return found === undefined ? null : JSON.parse(found.content);
}

export async function readJson(file) {
  return JSON.parse(await readFile(file, 'utf8'));
}

/** A reader of the file sees the old content or the new, never a part. */
export async function writeJson(file, value) {
  await writeFile(`${file}.next`, `${JSON.stringify(value, null, 2)}\n`);
  await rename(`${file}.next`, file);
}
