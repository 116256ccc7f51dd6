/** What the newest entry of each instance is: from what is not written out yet, from a bounded memory, or from the database. */
import { LRUCache } from 'lru-cache';
import { asDigest, type Digest, type InstanceId } from '../../core/names.js';
import type { Database } from './database.js';
import { instanceId } from './rows.js';

export interface Head {
  readonly revision: number;
  readonly head: Digest;
}

const MAX_REMEMBERED = 50_000;

interface HeadRow extends Head {
  readonly id: string;
}

export class HeadBook {
  readonly #db: Database;
  /** Answers null for an instance that is deleted, undefined where it has nothing that is newer than the database. */
  readonly #unwritten: (id: InstanceId) => Head | null | undefined;
  readonly #remembered = new LRUCache<InstanceId, Head>({ max: MAX_REMEMBERED });

  constructor(db: Database, unwritten: (id: InstanceId) => Head | null | undefined) {
    this.#db = db;
    this.#unwritten = unwritten;
  }

  /** Null: known not to exist. Undefined: only the database knows. */
  current(id: InstanceId): Head | null | undefined {
    const head = this.#unwritten(id);
    return head === undefined ? this.#remembered.get(id) : head;
  }

  remember(id: InstanceId, head: Head): void {
    this.#remembered.set(id, head);
  }

  /**
   * For who has just read the instance's row, and spares the commit that may follow another look. What is known already is never older:
   * a commit that came after the row was read has been remembered since, or is not written out.
   */
  note(id: InstanceId, head: Head): void {
    if (this.current(id) === undefined) this.#remembered.set(id, head);
  }

  forget(id: InstanceId): void {
    this.#remembered.delete(id);
  }

  /** Asks the database about those of the ids that memory does not know. Those that don't exist stay unknown. */
  async learn(ids: readonly InstanceId[]): Promise<void> {
    const unknown = ids.filter((id) => this.current(id) === undefined);
    if (unknown.length === 0) return;
    const [rows] = await this.#db.run(
      'SELECT VALUE { id: record::id(id), revision: revision, head: head } FROM (SELECT * FROM $ids)',
      { ids: unknown.map(instanceId) },
    );
    for (const row of rows as readonly HeadRow[]) {
      this.remember(row.id as InstanceId, { revision: row.revision, head: asDigest(row.head) });
    }
  }
}
