/** Reads a store while it is in use, and writes down what is in it. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../config/canonical.js';
import type { Attic } from '../core/attic.js';
import type { DecisionBook } from '../core/decision-log.js';
import { VaporaError } from '../core/errors.js';
import type { Entry } from '../core/events.js';
import { applyEntry } from '../core/evolve.js';
import type { TokenBook } from '../core/identities.js';
import { blobsOf, type WorkflowInstance } from '../core/instance.js';
import type { Digest, InstanceId } from '../core/names.js';
import type { StoredInstance, TriggerBook, WorkflowStore } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { verifyChain } from '../store/chain.js';
import { type BackupLine, FORMAT, FORMAT_VERSION, PIECE_BYTES } from './format.js';

const PAGE = 200;

export type BackupSource = Pick<WorkflowStore, 'list' | 'load' | 'history' | 'loadTemplate' | 'loadBlob'> &
  TriggerBook &
  TokenBook &
  DecisionBook & { readonly attic: Attic };

/**
 * The lines of a backup. Each instance is in it as it is at one moment of the backup, whole and verified; instances that were begun
 * after it may be missing. Marks of triggers come first: where one is older than what it has started, starting that again is the same
 * start.
 */
export async function* backupLines(
  source: BackupSource,
  about: { readonly at: number; readonly version: string },
): AsyncGenerator<string> {
  const hash = createHash('sha256');
  let lines = 0;
  for await (const line of contentsOf(source, about)) {
    const text = `${JSON.stringify(line)}\n`;
    hash.update(text);
    lines += 1;
    yield text;
  }
  yield `${JSON.stringify({ kind: 'end', lines, sha256: hash.digest('hex') } satisfies BackupLine)}\n`;
}

async function* contentsOf(
  source: BackupSource,
  { at, version }: { readonly at: number; readonly version: string },
): AsyncGenerator<BackupLine> {
  yield { kind: 'begin', format: FORMAT, version: FORMAT_VERSION, at, by: version };
  for (const mark of await source.marks()) yield { kind: 'mark', mark };
  for (const token of await source.tokens()) yield { kind: 'token', token };
  for await (const decisions of source.decisions(0)) yield { kind: 'decisions', decisions };
  const known: Known = { templates: new Map(), contents: new Set() };
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<BackupSource['list']>> = await source.list({
      limit: PAGE,
      ...(cursor === null ? {} : { cursor }),
    });
    for (const { id } of page.items) yield* instanceLines(source, id, known);
    cursor = page.next;
  } while (cursor !== null);
  // last: an instance that has gone since the backup began has left one
  for await (const anchor of source.attic.allAnchors()) yield { kind: 'anchor', anchor };
}

interface Known {
  readonly templates: Map<Digest, WorkflowTemplate>;
  readonly contents: Set<Digest>;
}

async function* instanceLines(
  source: BackupSource,
  id: InstanceId,
  { templates, contents }: Known,
): AsyncGenerator<BackupLine> {
  const stored = await source.load(id).catch((error: unknown) => {
    if (error instanceof VaporaError && error.code === 'audit_broken') return error;
    throw error;
  });
  if (stored === null) return;
  if (stored instanceof VaporaError) {
    yield { kind: 'broken', id, reason: stored.message };
    return;
  }
  const { instance, head } = stored;
  const entries: Entry[] = [];
  let fault: string | null = null;
  try {
    // what was committed since the state was read is left for the next backup
    for await (const entry of source.history(id))
      if (entry.revision <= instance.revision) entries.push(entry);
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
  }
  const template = templates.get(instance.templateHash) ?? (await source.loadTemplate(instance.templateHash));
  fault ??= await faultOf(stored, entries, template);
  if (fault !== null || template === null) {
    yield { kind: 'broken', id, reason: fault ?? 'its template is gone' };
    return;
  }
  if (!templates.has(template.hash)) yield { kind: 'template', template };
  templates.set(template.hash, template);
  for (const digest of storedContents(instance)) {
    if (contents.has(digest)) continue;
    const bytes = await source.loadBlob(digest);
    if (bytes === null) {
      // gone with the instance, while this was being written
      if ((await source.load(id)) !== null)
        yield { kind: 'broken', id, reason: `content \`${digest}\` is missing` };
      return;
    }
    contents.add(digest);
    yield* pieces(digest, bytes);
  }
  for (const entry of entries) yield { kind: 'entry', entry };
  yield { kind: 'instance', head, instance };
}

async function faultOf(
  { instance, head }: StoredInstance,
  entries: readonly Entry[],
  template: WorkflowTemplate | null,
): Promise<string | null> {
  if (template === null) return 'its template is gone';
  const { broken } = await verifyChain(entries, instance.id, { revision: instance.revision, hash: head });
  if (broken !== null) return broken.reason;
  let state: WorkflowInstance | null = null;
  for (const entry of entries) state = applyEntry(template, state, entry);
  return canonicalJson(state) === canonicalJson(instance)
    ? null
    : 'the state is not what the history leads to';
}

function storedContents(instance: WorkflowInstance): ReadonlySet<Digest> {
  const stored = blobsOf(instance).filter(({ inline }) => inline === undefined);
  return new Set(stored.map(({ digest }) => digest));
}

function* pieces(digest: Digest, bytes: Uint8Array): Generator<BackupLine> {
  for (let start = 0; start === 0 || start < bytes.length; start += PIECE_BYTES) {
    const piece = Buffer.from(bytes.subarray(start, start + PIECE_BYTES)).toString('base64');
    yield { kind: 'content', digest, isLast: start + PIECE_BYTES >= bytes.length, piece };
  }
}
