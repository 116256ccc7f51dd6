/** Content-addressed bytes, in chunks that the database handles well. */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { BoundExcluded, BoundIncluded, RecordId, RecordIdRange } from 'surrealdb';
import { VaporaError } from '../../core/errors.js';
import { asDigest, type Digest } from '../../core/names.js';
import type { Database } from './database.js';

const TABLE = 'artifact_chunks';
const CHUNK_BYTES = 256 * 1024;
/** Chunks of one transaction. */
const GROUP = 16;
const MAX_REMEMBERED = 10_000;

export class BlobTable {
  readonly #db: Database;
  readonly #write: (work: () => Promise<void>) => Promise<void>;
  readonly #saved = new LRUCache<Digest, true>({ max: MAX_REMEMBERED });
  readonly #underWay = new Map<Digest, Promise<void>>();

  /** `write` carries out a write that may be repeated, and fails as the store fails. */
  constructor(db: Database, write: (work: () => Promise<void>) => Promise<void>) {
    this.#db = db;
    this.#write = write;
  }

  async save(bytes: Uint8Array): Promise<Digest> {
    const digest = asDigest(createHash('sha256').update(bytes).digest('hex'));
    if (this.#saved.has(digest)) return digest;
    const underWay = this.#underWay.get(digest);
    if (underWay !== undefined) {
      await underWay;
      return digest;
    }
    // a copy: the caller may use its buffer again while chunks are on their way
    const saving = this.#saveNew(digest, Uint8Array.from(bytes));
    this.#underWay.set(digest, saving);
    try {
      await saving;
      this.#saved.set(digest, true);
    } finally {
      this.#underWay.delete(digest);
    }
    return digest;
  }

  async load(digest: Digest): Promise<Uint8Array | null> {
    const size = await this.#sizeOf(digest);
    if (size === null) return null;
    const bytes = new Uint8Array(size);
    let end = 0;
    for (let index = 0; end < size; index += GROUP) {
      const [found] = await this.#db.run('SELECT VALUE bytes FROM $range', {
        range: new RecordIdRange(
          TABLE,
          new BoundIncluded([digest, index]),
          new BoundExcluded([digest, index + GROUP]),
        ),
      });
      const chunks = (found as readonly (ArrayBuffer | Uint8Array)[]).map((chunk) => new Uint8Array(chunk));
      if (chunks.length === 0) break;
      for (const chunk of chunks) {
        if (end + chunk.length > size) throw damaged(digest, this.#db.place);
        bytes.set(chunk, end);
        end += chunk.length;
      }
    }
    if (createHash('sha256').update(bytes).digest('hex') !== digest) throw damaged(digest, this.#db.place);
    return bytes;
  }

  async #sizeOf(digest: Digest): Promise<number | null> {
    const [found] = await this.#db.run('SELECT VALUE size FROM $first', {
      first: new RecordId(TABLE, [digest, 0]),
    });
    const size = Array.isArray(found) ? found[0] : undefined;
    return typeof size === 'number' ? size : null;
  }

  /** The first chunk goes last: where it is, the others are. */
  async #saveNew(digest: Digest, bytes: Uint8Array): Promise<void> {
    if ((await this.#sizeOf(digest)) !== null) return;
    const count = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
    const rows = Array.from({ length: count }, (_, index) => ({
      id: [digest, index],
      ...(index === 0 ? { size: bytes.length } : {}),
      bytes: bytes.slice(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES),
    })).reverse();
    for (let start = 0; start < rows.length; start += GROUP) {
      const group = rows.slice(start, start + GROUP);
      await this.#write(async () => {
        await this.#db.run(`INSERT IGNORE INTO ${TABLE} $rows RETURN NONE`, { rows: group });
      });
    }
  }
}

function damaged(digest: Digest, place: string): VaporaError {
  return new VaporaError(
    'store_unreadable',
    `the bytes of \`${digest}\` in the store ${place} do not match it`,
  );
}
