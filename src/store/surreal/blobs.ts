/** Content-addressed bytes, in chunks that the database handles well. */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { BoundExcluded, BoundIncluded, RecordId, RecordIdRange } from 'surrealdb';
import { VaporaError } from '../../core/errors.js';
import { asDigest, type Digest } from '../../core/names.js';
import type { Clock } from '../../core/ports.js';
import { CHECK_FENCE, type Session, sessionValues } from './commit-queue.js';
import type { Database } from './database.js';

const TABLE = 'artifact_chunks';
export const MARKS = 'artifact_marks';
const CHUNK_BYTES = 256 * 1024;
/** Chunks of one transaction. */
const GROUP = 16;
const MAX_CHUNKS = Number.MAX_SAFE_INTEGER;
const MAX_REMEMBERED = 10_000;
/** Content that is saved again is marked anew after this time: far less than nobody has to want it before it is removed. */
const FRESH_MS = 3_600_000;

export interface BlobTableParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly session: Session;
  /** Carries out a write that may be repeated, and fails as the store fails. */
  readonly write: (work: () => Promise<void>) => Promise<void>;
}

export class BlobTable {
  readonly #parts: BlobTableParts;
  /** When each was last marked. */
  readonly #marked = new LRUCache<Digest, number>({ max: MAX_REMEMBERED });
  /** Saving or removing: one at a time of one digest. */
  readonly #underWay = new Map<Digest, Promise<void>>();

  constructor(parts: BlobTableParts) {
    this.#parts = parts;
  }

  async save(bytes: Uint8Array): Promise<Digest> {
    const digest = asDigest(createHash('sha256').update(bytes).digest('hex'));
    // what was under way may have been its removal, so it is looked at anew
    for (let before = this.#underWay.get(digest); before !== undefined; ) {
      await before;
      before = this.#underWay.get(digest);
    }
    const now = this.#parts.clock.now();
    const markedAt = this.#marked.get(digest) ?? Number.NEGATIVE_INFINITY;
    if (Math.abs(now - markedAt) < FRESH_MS) return digest;
    // a copy: the caller may use its buffer again while chunks are on their way
    await this.#alone(digest, () => this.#saveOrMark(digest, Uint8Array.from(bytes), now));
    this.#marked.set(digest, now);
    return digest;
  }

  /** Removes content; what is being saved at this moment stays. Answers whether it is gone. */
  async remove(digest: Digest): Promise<boolean> {
    if (this.#underWay.has(digest)) return false;
    const { db, session, write } = this.#parts;
    this.#marked.delete(digest);
    const values = {
      ...sessionValues(session),
      mark: markId(digest),
      chunks: chunkRange(digest, 0, MAX_CHUNKS),
    };
    await this.#alone(digest, () =>
      write(async () => {
        await db.run(
          `BEGIN; ${CHECK_FENCE} DELETE $mark RETURN NONE; DELETE $chunks RETURN NONE; COMMIT`,
          values,
        );
      }),
    );
    return true;
  }

  /** Found in use now. */
  async mark(digests: ReadonlySet<Digest>): Promise<void> {
    if (digests.size === 0) return;
    const { db, write, clock } = this.#parts;
    const values = { marks: [...digests].map(markId), at: clock.now() };
    await write(async () => {
      await db.run('UPDATE $marks SET at = $at RETURN NONE', values);
    });
  }

  async #alone(digest: Digest, work: () => Promise<void>): Promise<void> {
    const working = work();
    const settled = working.catch(() => undefined);
    this.#underWay.set(digest, settled);
    try {
      await working;
    } finally {
      this.#underWay.delete(digest);
    }
  }

  async load(digest: Digest): Promise<Uint8Array | null> {
    const size = await this.#sizeOf(digest);
    if (size === null) return null;
    const bytes = new Uint8Array(size);
    let end = 0;
    for (let index = 0; end < size; index += GROUP) {
      const [found] = await this.#parts.db.run('SELECT VALUE bytes FROM $range', {
        range: chunkRange(digest, index, index + GROUP),
      });
      const chunks = (found as readonly (ArrayBuffer | Uint8Array)[]).map((chunk) => new Uint8Array(chunk));
      if (chunks.length === 0) break;
      for (const chunk of chunks) {
        if (end + chunk.length > size) throw damaged(digest, this.#parts.db.place);
        bytes.set(chunk, end);
        end += chunk.length;
      }
    }
    if (createHash('sha256').update(bytes).digest('hex') !== digest)
      throw damaged(digest, this.#parts.db.place);
    return bytes;
  }

  async #sizeOf(digest: Digest): Promise<number | null> {
    const [found] = await this.#parts.db.run('SELECT VALUE size FROM $first', {
      first: new RecordId(TABLE, [digest, 0]),
    });
    const size = Array.isArray(found) ? found[0] : undefined;
    return typeof size === 'number' ? size : null;
  }

  /** The first chunk goes last: where it is, the others are. */
  async #saveOrMark(digest: Digest, bytes: Uint8Array, at: number): Promise<void> {
    const { db, write } = this.#parts;
    const mark = { mark: markId(digest), content: { at, size: bytes.length } };
    if ((await this.#sizeOf(digest)) !== null) {
      await write(async () => {
        await db.run('UPSERT $mark CONTENT $content RETURN NONE', mark);
      });
      return;
    }
    const count = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
    const rows = Array.from({ length: count }, (_, index) => ({
      id: [digest, index],
      ...(index === 0 ? { size: bytes.length } : {}),
      bytes: bytes.slice(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
    })).reverse();
    // marked with the chunks that go first: what a crash leaves half saved is found by its mark
    let first = 'UPSERT $mark CONTENT $content RETURN NONE;';
    for (let start = 0; start < rows.length; start += GROUP) {
      const values = { ...mark, rows: rows.slice(start, start + GROUP) };
      const statements = `BEGIN; ${first} INSERT IGNORE INTO ${TABLE} $rows RETURN NONE; COMMIT`;
      await write(async () => {
        await db.run(statements, values);
      });
      first = '';
    }
  }
}

function markId(digest: Digest): RecordId {
  return new RecordId(MARKS, digest);
}

function chunkRange(digest: Digest, from: number, before: number): RecordIdRange {
  return new RecordIdRange(TABLE, new BoundIncluded([digest, from]), new BoundExcluded([digest, before]));
}

function damaged(digest: Digest, place: string): VaporaError {
  return new VaporaError(
    'store_unreadable',
    `the bytes of \`${digest}\` in the store ${place} do not match it`,
  );
}
