/** What a command gets: its task on stdin, files in a private directory, ids in its environment. */
import { isUtf8 } from 'node:buffer';
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InputArtifact, TaskOrder } from '../core/ports.js';
import type { AttemptVoice } from '../transport/runner.js';
import { loadBlob, loadInput } from './context.js';
import { artifactHead, MAX_CONTENT_BYTES, taskMessage } from './task-message.js';

/** Of the engine's own environment; everything else, such as its secrets, is kept from agents. */
const INHERITED = new Set(['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'USER', 'LOGNAME', 'SHELL', 'SYSTEMROOT']);
const WORKDIR_PREFIX = 'vapora-task-';

/** A new directory that only this user may enter. Rejects where it can't be made. */
export async function makeWorkdir(root: string): Promise<string> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  return realpath(await mkdtemp(join(root, WORKDIR_PREFIX)));
}

/** Best effort: what can't be removed is left to {@link removeStaleWorkdirs}. */
export async function removeWorkdir(workdir: string): Promise<void> {
  await chmod(workdir, 0o700).catch(() => undefined);
  await rm(workdir, { recursive: true, force: true, maxRetries: 2 }).catch(() => undefined);
}

/**
 * Removes the directories of attempts whose engine was killed. Call it when no task runs, and only for a root that no other engine
 * uses. A root that does not exist is no error.
 */
export async function removeStaleWorkdirs(root: string): Promise<void> {
  const names = await readdir(root).catch((): string[] => []);
  const stale = names.filter((name) => name.startsWith(WORKDIR_PREFIX));
  await Promise.all(stale.map((name) => removeWorkdir(join(root, name))));
}

/** The task as JSON text; content that is large or no text is written to files in `workdir`. Rejects where a read fails. */
export async function writeTask(order: TaskOrder, voice: AttemptVoice, workdir: string): Promise<string> {
  const writer = new ArtifactWriter(voice, join(workdir, 'inputs'));
  const input = await loadInput(order.input, voice);
  const artifacts = await writer.writeAll(order.artifacts);
  const artifactsToUndo = await writer.writeAll(order.artifacts_to_undo);
  const task = taskMessage(order, { input, artifacts, artifactsToUndo });
  return `${JSON.stringify(task)}\n`;
}

class ArtifactWriter {
  readonly #voice: AttemptVoice;
  readonly #dir: string;
  #files = 0;

  constructor(voice: AttemptVoice, dir: string) {
    this.#voice = voice;
    this.#dir = dir;
  }

  async writeAll(artifacts: readonly InputArtifact[]): Promise<readonly unknown[]> {
    const written: unknown[] = [];
    // one after the other: together they may be larger than memory
    for (const artifact of artifacts) {
      written.push({ ...artifactHead(artifact), ...(await this.#content(artifact)) });
    }
    return written;
  }

  async #content(artifact: InputArtifact): Promise<{ content: string } | { path: string }> {
    if (artifact.inline !== undefined) return { content: artifact.inline };
    const bytes = await loadBlob(artifact, this.#voice);
    if (bytes.length <= MAX_CONTENT_BYTES && isUtf8(bytes)) {
      return { content: Buffer.from(bytes).toString('utf8') };
    }
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    // numbered: a name may be longer than a file's may be
    const path = join(this.#dir, String(this.#files++));
    await writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
    return { path };
  }
}

export interface EnvironmentParts {
  readonly parent: Readonly<Record<string, string | undefined>>;
  readonly configured: Readonly<Record<string, string>>;
  readonly workdir: string;
}

/** The whole environment of a command, but for its mark. The engine's words stand above configured ones. */
export function environmentOf(order: TaskOrder, parts: EnvironmentParts): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(parts.parent)) {
    if (value !== undefined && (INHERITED.has(key) || key.startsWith('LC_'))) env[key] = value;
  }
  Object.assign(env, parts.configured);
  const ids: Record<string, string> = {
    VAPORA_WORKFLOW_ID: order.workflow_id,
    VAPORA_WORKFLOW: order.workflow,
    VAPORA_STAGE: order.stage_name,
    VAPORA_ROLE: order.role,
    VAPORA_ATTEMPT: String(order.attempt),
    VAPORA_TASK_ID: order.task_id,
    VAPORA_TASK_TYPE: order.type,
    VAPORA_IDEMPOTENCY_KEY: order.idempotency_key,
    VAPORA_INITIATOR: order.initiator,
    VAPORA_WORKDIR: parts.workdir,
    ...(order.traceparent === null ? {} : { TRACEPARENT: order.traceparent }),
  };
  // an environment can't hold NUL, and who started the instance is free text
  for (const [key, value] of Object.entries(ids)) env[key] = value.replaceAll('\0', '');
  return env;
}
