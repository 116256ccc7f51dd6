/** What stays of instances that are gone, and the removal of content that nobody refers to any more. */
import { BoundIncluded, type RecordId, RecordIdRange } from 'surrealdb';
import type { Anchor, Attic, Collected } from '../../core/attic.js';
import { asDigest, type Digest, type InstanceId } from '../../core/names.js';
import { type BlobTable, MARKS } from './blobs.js';
import type { ChargeTable } from './charge-table.js';
import { CHECK_FENCE, type Session, sessionValues } from './commit-queue.js';
import type { Database } from './database.js';
import { INSTANCES, storedBlobs } from './rows.js';
import type { UnwrittenBook } from './unwritten.js';

const ANCHORS = 'instance_anchors';
/** In place of digests in rows from before those were kept. */
const UNKNOWN = '?';
const LAST_DIGEST = 'g';
const PAGE = 500;

export interface AtticParts {
  readonly db: Database;
  readonly session: Session;
  readonly write: (work: () => Promise<void>) => Promise<void>;
  readonly blobs: BlobTable;
  readonly charges: ChargeTable;
  readonly book: UnwrittenBook;
  /** Throws where the store is no longer usable; resolves once rows hold all that was committed before the call. */
  readonly ready: () => Promise<void>;
}

interface MarkRow {
  readonly id: RecordId;
  readonly size: number;
}

export class AtticTables implements Attic {
  readonly #parts: AtticParts;

  constructor(parts: AtticParts) {
    this.#parts = parts;
  }

  async saveAnchors(anchors: readonly Anchor[]): Promise<void> {
    const { db, session, write, ready } = this.#parts;
    await ready();
    const rows = anchors.map((anchor) => ({ id: [anchor.id, anchor.head], body: JSON.stringify(anchor) }));
    await write(async () => {
      await db.run(`BEGIN; ${CHECK_FENCE} INSERT IGNORE INTO ${ANCHORS} $rows RETURN NONE; COMMIT`, {
        ...sessionValues(session),
        rows,
      });
    });
  }

  async anchors(id: InstanceId): Promise<readonly Anchor[]> {
    const range = new RecordIdRange(
      ANCHORS,
      new BoundIncluded([id, '']),
      new BoundIncluded([id, LAST_DIGEST]),
    );
    const [bodies] = await this.#parts.db.run('SELECT VALUE body FROM $range', { range });
    const anchors = (bodies as readonly string[]).map((body) => JSON.parse(body) as Anchor);
    return anchors.sort((a, b) => b.purgedAt - a.purgedAt);
  }

  async *allAnchors(): AsyncGenerator<Anchor> {
    // the database reads a range of ids to its end, whatever the limit: bodies are read by their ids
    const [ids] = await this.#parts.db.run(`SELECT VALUE id FROM ${ANCHORS}`);
    const all = ids as readonly RecordId[];
    for (let start = 0; start < all.length; start += PAGE) {
      const [bodies] = await this.#parts.db.run('SELECT VALUE body FROM (SELECT * FROM $ids)', {
        ids: all.slice(start, start + PAGE),
      });
      for (const body of bodies as readonly string[]) yield JSON.parse(body) as Anchor;
    }
  }

  /**
   * INVARIANT: nothing that is removed can come to be referred to by a commit that is under way. Whoever commits a reference has
   * saved the content within the time that `before` leaves (which marked it), or has it from an instance that is in the store.
   */
  async collectBlobs(before: number, limit: number): Promise<Collected> {
    const { db, ready, blobs } = this.#parts;
    await ready();
    const [found] = await db.run(
      `SELECT id, size FROM ${MARKS} WITH INDEX ${MARKS}_at WHERE at < $before LIMIT ${limit}`,
      { before },
    );
    const rows = (found as readonly MarkRow[]).map(({ id, size }) => ({
      digest: asDigest(String(id.id)),
      size,
    }));
    if (rows.length === 0) return { looked: 0, removed: 0, bytes: 0 };
    const used = await this.#used(rows.map(({ digest }) => digest));
    let removed = 0;
    let bytes = 0;
    for (const { digest, size } of rows) {
      if (used.has(digest) || !(await blobs.remove(digest))) continue;
      removed += 1;
      bytes += size;
    }
    await blobs.mark(used);
    return { looked: rows.length, removed, bytes };
  }

  async dropCharges(before: number): Promise<void> {
    await this.#parts.ready();
    await this.#parts.charges.drop(before);
  }

  /** Those that an instance refers to, written out or not. */
  async #used(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const { db, book } = this.#parts;
    const where = (value: string): string =>
      `SELECT VALUE id FROM ${INSTANCES} WITH INDEX ${INSTANCES}_blobs WHERE blobs CONTAINS ${value} LIMIT 1`;
    const statements = digests.map((_, index) => where(`$d${index}`));
    const values = Object.fromEntries(digests.map((digest, index) => [`d${index}`, digest]));
    const [unknown, ...found] = await db.run([where('$unknown'), ...statements].join(';'), {
      ...values,
      unknown: UNKNOWN,
    });
    const isFound = (rows: unknown): boolean => Array.isArray(rows) && rows.length > 0;
    if (isFound(unknown)) return new Set(digests);
    const used = new Set(digests.filter((_, index) => isFound(found[index])));
    // committed while the rows were asked
    const asked = new Set(digests);
    for (const { stored } of book.values()) {
      if (stored === null) continue;
      for (const digest of storedBlobs(stored.instance)) if (asked.has(digest)) used.add(digest);
    }
    return used;
  }
}
