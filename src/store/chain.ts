/**
 * The audit hash chain of one instance. Each entry's hash covers the entry before it, so that nothing in the middle can be altered,
 * removed or moved; the last hash is kept with the instance, so that a cut tail shows too.
 */
import { hash } from 'node:crypto';
import { VaporaError } from '../core/errors.js';
import type { Entry, WorkflowEvent } from '../core/events.js';
import { asDigest, type Digest, type InstanceId } from '../core/names.js';
import type { Commit } from '../core/ports.js';

/** What the first entry follows. */
export const CHAIN_START: Digest = asDigest('0'.repeat(64));

export interface ChainHead {
  readonly revision: number;
  readonly hash: Digest;
}

interface EntryFields {
  readonly instance: InstanceId;
  readonly revision: number;
  readonly firstSeq: number;
  readonly at: number;
  readonly previous: Digest;
}

/** A commit as it is hashed and kept. `text` is the entry's JSON. */
export interface EncodedEntry extends EntryFields {
  readonly hash: Digest;
  readonly text: string;
}

/** Each field is preceded by its length, so that no two different entries share an encoding. */
function hashFields(fields: EntryFields, events: string): Digest {
  const parts = [
    fields.previous,
    fields.instance,
    String(fields.revision),
    String(fields.firstSeq),
    String(fields.at),
    events,
  ];
  let text = '';
  for (const part of parts) text += `${part.length}:${part}`;
  return asDigest(hash('sha256', text, 'hex'));
}

/** Encodes a commit once: the same events text is hashed and stored. */
export function encodeEntry(commit: Commit): EncodedEntry {
  const { previous, next } = commit;
  const fields = {
    instance: next.id,
    revision: next.revision,
    firstSeq: (previous?.instance.seq ?? 0) + 1,
    at: commit.at,
    previous: previous?.head ?? CHAIN_START,
  };
  const events = JSON.stringify(commit.events);
  const hash = hashFields(fields, events);
  const { instance, revision, firstSeq, at, previous: before } = fields;
  const head = `{"instance":${JSON.stringify(instance)},"revision":${revision},"firstSeq":${firstSeq},"at":${at}`;
  return { ...fields, hash, text: `${head},"previous":"${before}","hash":"${hash}","events":${events}}` };
}

/** Reads an entry as {@link encodeEntry} wrote it. Throws `SyntaxError` where the text is no JSON. */
export function decodeEntry(text: string): Entry {
  return JSON.parse(text) as Entry;
}

/** Reads an entry of a history that somebody else may have been at. Throws `audit_broken`. */
export function readEntry(text: string): Entry {
  let entry: Partial<Entry> | null = null;
  try {
    entry = decodeEntry(text);
  } catch {
    // cut off or overwritten: not JSON any more
  }
  const numbers = [entry?.revision, entry?.firstSeq, entry?.at];
  const texts = [entry?.instance, entry?.previous, entry?.hash];
  const isWhole =
    numbers.every(Number.isSafeInteger) &&
    texts.every((value) => typeof value === 'string') &&
    Array.isArray(entry?.events);
  if (isWhole) return entry as Entry;
  throw auditBroken('an entry of the history is no entry any more');
}

export function auditBroken(message: string): VaporaError {
  return new VaporaError('audit_broken', message, {
    hint: 'the data was changed by something else than this engine: `vapora audit verify` says where, a backup has it whole',
  });
}

/** The hash that an entry must have. JSON text made by `JSON.stringify` survives parsing and printing unchanged. */
export function hashEntry(entry: Omit<Entry, 'hash'>): Digest {
  return hashFields(entry, JSON.stringify(entry.events satisfies readonly WorkflowEvent[]));
}

export interface ChainReport {
  readonly entries: number;
  readonly events: number;
  /** The first bad entry, or where one is missing; null: the chain is whole. */
  readonly broken: { readonly revision: number; readonly reason: string } | null;
}

/** Checks entries in the order of the store against the head that the instance itself remembers. */
export async function verifyChain(
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  instance: InstanceId,
  head: ChainHead,
): Promise<ChainReport> {
  let revision = 0;
  let seq = 0;
  let hash = CHAIN_START;
  const broken = (reason: string): ChainReport => ({
    entries: revision,
    events: seq,
    broken: { revision: revision + 1, reason },
  });
  try {
    for await (const entry of entries) {
      const reason = faultOf(entry, { instance, revision, seq, hash });
      if (reason !== null) return broken(reason);
      revision = entry.revision;
      seq += entry.events.length;
      hash = entry.hash;
    }
  } catch (error) {
    if (error instanceof VaporaError && error.code === 'audit_broken') return broken(error.message);
    throw error;
  }
  if (revision < head.revision) return broken(`entries up to revision ${head.revision} are missing`);
  if (revision > head.revision) return broken(`entries follow the head, revision ${head.revision}`);
  if (hash !== head.hash) return broken('the last entry is not the one that the instance remembers');
  return { entries: revision, events: seq, broken: null };
}

function faultOf(
  entry: Entry,
  before: { instance: InstanceId; revision: number; seq: number; hash: Digest },
): string | null {
  if (entry.instance !== before.instance) return `entry of another instance, \`${entry.instance}\``;
  if (entry.revision !== before.revision + 1) {
    return `found revision ${entry.revision} where ${before.revision + 1} belongs`;
  }
  if (entry.firstSeq !== before.seq + 1) return `first event is ${entry.firstSeq}, not ${before.seq + 1}`;
  if (entry.previous !== before.hash) return 'does not follow the entry before';
  if (!Array.isArray(entry.events) || hashEntry(entry) !== entry.hash)
    return 'content does not match its hash';
  return null;
}
