/** What a store keeps beside instances and their histories. */
import type { ApiToken } from '../../core/identities.js';
import type { Clock, TriggerMark } from '../../core/ports.js';
import { AtticTables } from './attic.js';
import { BlobTable } from './blobs.js';
import { BodyTable } from './body-table.js';
import { ChargeTable } from './charge-table.js';
import type { Session } from './commit-queue.js';
import type { Database } from './database.js';
import { DecisionTable } from './decision-table.js';
import { RestoreTable } from './restore-table.js';
import type { UnwrittenBook } from './unwritten.js';

export interface Tables {
  readonly blobs: BlobTable;
  readonly attic: AtticTables;
  readonly marks: BodyTable<TriggerMark>;
  readonly tokens: BodyTable<ApiToken>;
  readonly decisions: DecisionTable;
  readonly charges: ChargeTable;
  readonly restores: RestoreTable;
}

export function openTables(parts: {
  readonly db: Database;
  readonly clock: Clock;
  readonly session: Session;
  readonly book: UnwrittenBook;
  /** Carries out a write that may be repeated, and fails as the store fails. */
  readonly write: (work: () => Promise<void>) => Promise<void>;
  /** Throws where the store is no longer usable; resolves once rows hold all that was committed before the call. */
  readonly ready: () => Promise<void>;
}): Tables {
  const { db, clock, session, book, write, ready } = parts;
  const charges = new ChargeTable(db, write);
  const blobs = new BlobTable({ db, clock, session, write });
  return {
    blobs,
    attic: new AtticTables({ db, session, write, blobs, charges, book, ready }),
    marks: new BodyTable('trigger_marks', ({ workflow }) => workflow, { db, session, write }),
    tokens: new BodyTable('api_tokens', ({ id }) => id, { db, session, write }),
    decisions: new DecisionTable(db, clock.newId(), write),
    charges,
    restores: new RestoreTable({ db, session, write }),
  };
}
