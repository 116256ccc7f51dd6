/**
 * Writes what the journal holds into the instances' rows and their history, later and many at once, and lets the journal's rows go
 * once all that they hold is written. A crash before that loses nothing: the journal is read again at the next open.
 */
import { RecordId } from 'surrealdb';
import type { VaporaError } from '../../core/errors.js';
import type { InstanceId } from '../../core/names.js';
import type { Clock } from '../../core/ports.js';
import { pause } from './backoff.js';
import { CHECK_FENCE, type Session, sessionValues } from './commit-queue.js';
import type { Database } from './database.js';
import { FENCED, isConflict, isFull, isThrown } from './fault.js';
import type { HeadBook } from './head-book.js';
import {
  columnsOf,
  HISTORY,
  historyRange,
  type InstanceColumns,
  instanceId,
  joinEntries,
  journalRange,
  LABELS,
} from './rows.js';
import type { StoreStatistics } from './statistics.js';
import type { NewEntry, Unwritten, UnwrittenBook } from './unwritten.js';

const BATCH = 128;
const BATCH_CHARACTERS = 4 * 1024 * 1024;
/** Entries of one history row: what a reader skips at most to begin in the middle. */
export const HISTORY_ROW_ENTRIES = 256;
const HISTORY_ROW_CHARACTERS = 1024 * 1024;
/** Ended instances are written soon, but not one by one. */
const ENDED_DELAY_MS = 100;
const ENDED_ENOUGH = 64;
const LIVE_MAX_MS = 2_000;
/** Beyond any of these live instances are written too: they bound memory and the time to recover. */
const MAX_JOURNAL_ROWS = 2_000;
const MAX_UNWRITTEN = 12_000;
const MAX_CHARACTERS = 64 * 1024 * 1024;
/** Beyond this many times the bounds, commits wait. */
const BRAKE = 2;
const TRIM_ROWS = 64;
const MAX_TRIES = 8;

export class Projection {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #session: Session;
  readonly #book: UnwrittenBook;
  readonly #heads: HeadBook;
  readonly #onFatal: (cause: unknown) => VaporaError;
  readonly #statistics: StoreStatistics;
  #running: Promise<void> | null = null;
  #cancelTimer: (() => void) | null = null;
  #trimmed: number;
  #last: number;
  #isStopped = false;

  constructor(parts: {
    db: Database;
    clock: Clock;
    session: Session;
    book: UnwrittenBook;
    heads: HeadBook;
    /** The journal's rows up to this one are gone. */
    trimmed: number;
    last: number;
    onFatal: (cause: unknown) => VaporaError;
    statistics: StoreStatistics;
  }) {
    this.#db = parts.db;
    this.#clock = parts.clock;
    this.#session = parts.session;
    this.#book = parts.book;
    this.#heads = parts.heads;
    this.#trimmed = parts.trimmed;
    this.#last = parts.last;
    this.#onFatal = parts.onFatal;
    this.#statistics = parts.statistics;
  }

  /** To be called after each commit with its journal row. */
  noteCommit(row: number): void {
    this.#last = row;
    this.#arm();
  }

  /** Resolves at once unless writing has fallen far behind the commits. */
  async ready(): Promise<void> {
    while (!this.#isStopped && this.#isOver(BRAKE)) await this.#runDue();
  }

  /** Writes all that is unwritten at the time of the call. */
  async flush(): Promise<void> {
    const left = new Set(this.#book.ids());
    while (left.size > 0) {
      await this.#exclusively(async () => {
        const batch: Unwritten[] = [];
        for (const id of left) {
          const unwritten = this.#book.get(id);
          if (unwritten !== undefined && !fits(batch, unwritten)) break;
          left.delete(id);
          if (unwritten !== undefined) batch.push(unwritten);
        }
        await this.#write(batch);
      });
    }
  }

  /** Flushes, and empties the journal of what it holds at the time of the call. */
  async writeOut(): Promise<void> {
    await this.flush();
    await this.#exclusively(() => this.#trim(1));
  }

  /** The same, and nothing more afterwards. */
  async finish(): Promise<void> {
    await this.writeOut();
    this.stop();
  }

  /** Nothing is written from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #arm(): void {
    if (this.#isStopped || this.#running !== null || this.#book.count === 0) return;
    if (this.#book.endedCount >= ENDED_ENOUGH || this.#isOver(1)) {
      this.#inBackground();
      return;
    }
    if (this.#cancelTimer !== null) return;
    const delayMs = this.#book.endedCount > 0 ? ENDED_DELAY_MS : LIVE_MAX_MS / 4;
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#cancelTimer = null;
      this.#inBackground();
    });
  }

  #inBackground(): void {
    this.#runDue().then(
      () => this.#arm(),
      (cause: unknown) => {
        this.#onFatal(cause);
      },
    );
  }

  async #runDue(): Promise<void> {
    await this.#exclusively(async () => {
      for (let batch = this.#due(); batch.length > 0; batch = this.#due()) {
        await this.#write(batch);
        if (this.#isStopped) return;
      }
      await this.#trim(TRIM_ROWS);
    });
  }

  #isOver(times: number): boolean {
    const book = this.#book;
    return (
      book.journalRows > MAX_JOURNAL_ROWS * times ||
      book.count > MAX_UNWRITTEN * times ||
      book.characters > MAX_CHARACTERS * times
    );
  }

  #due(): Unwritten[] {
    const batch: Unwritten[] = [];
    for (const id of this.#book.ended()) {
      const unwritten = this.#book.get(id);
      if (unwritten === undefined || !fits(batch, unwritten)) return batch;
      batch.push(unwritten);
    }
    const before = this.#isOver(1) ? Number.POSITIVE_INFINITY : this.#clock.now() - LIVE_MAX_MS;
    for (const unwritten of this.#book.values()) {
      if (unwritten.since > before || !fits(batch, unwritten)) break;
      if (!batch.includes(unwritten)) batch.push(unwritten);
    }
    return batch;
  }

  /** One writing at a time: two of the same instance would meet. */
  async #exclusively(work: () => Promise<void>): Promise<void> {
    while (this.#running !== null) await this.#running;
    const running = work();
    this.#running = running.then(
      () => undefined,
      () => undefined,
    );
    try {
      await running;
    } finally {
      this.#running = null;
      this.#arm();
    }
  }

  async #write(batch: readonly Unwritten[]): Promise<void> {
    if (batch.length === 0) return;
    for (let tries = 1; ; tries += 1) {
      try {
        // an earlier try may have been written in spite of its error, so only the first one may count on new rows
        const values = valuesOf(batch, tries === 1);
        await this.#db.run(STATEMENTS, { ...sessionValues(this.#session), ...values });
        this.#count(values);
        break;
      } catch (cause) {
        const mayRetry = isConflict(cause) ? tries < MAX_TRIES : tries === 1;
        if (!mayRetry || isThrown(cause, FENCED) || isFull(cause)) throw this.#onFatal(cause);
        await pause(this.#clock, tries);
      }
    }
    const now = this.#clock.now();
    for (const unwritten of batch) {
      const { id, stored } = unwritten;
      if (stored === null) this.#heads.forget(id);
      else this.#heads.remember(id, { revision: stored.instance.revision, head: stored.head });
      this.#book.settle(unwritten, now);
    }
  }

  #count({ fresh, changed, history, rewritten }: Values): void {
    const statistics = this.#statistics;
    statistics.projections += 1;
    for (const row of [...fresh, ...changed.map(({ content }) => content)]) {
      statistics.projectedRows += 1;
      statistics.projectedBytes += row.state?.length ?? 0;
    }
    for (const { entries } of [...history, ...rewritten.map(({ content }) => content)]) {
      statistics.projectedRows += 1;
      statistics.projectedBytes += entries.length;
    }
  }

  /** Lets the journal's rows go whose changes are all written, where there are at least so many. */
  async #trim(atLeast: number): Promise<void> {
    const open = this.#book.firstOpenRow();
    const upTo = open === null ? this.#last : open - 1;
    if (upTo - this.#trimmed < atLeast) return;
    const range = journalRange(this.#session.partition, this.#trimmed, upTo);
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#db.run(`BEGIN; ${CHECK_FENCE} DELETE $range RETURN NONE; COMMIT`, {
          ...sessionValues(this.#session),
          range,
        });
        break;
      } catch (cause) {
        if (!isConflict(cause) || tries === MAX_TRIES) throw this.#onFatal(cause);
        await pause(this.#clock, tries);
      }
    }
    this.#trimmed = upTo;
  }
}

// to the engine an UPSERT of what is there costs half as much again as the UPDATE
const WRITE_CHANGED = `FOR $row IN $changed {
    IF record::exists($row.id) { UPDATE $row.id CONTENT $row.content RETURN NONE }
    ELSE { UPSERT $row.id CONTENT $row.content RETURN NONE }
  };`;

const STATEMENTS = `BEGIN; ${CHECK_FENCE}
  FOR $range IN $cleared { DELETE $range RETURN NONE };
  DELETE (SELECT VALUE type::record('instance_labels', [labels, position])
    FROM (SELECT labels, position FROM (SELECT * FROM $gone) SPLIT labels)) RETURN NONE;
  DELETE $gone RETURN NONE;
  INSERT INTO workflow_instances $fresh RETURN NONE;
  ${WRITE_CHANGED}
  INSERT IGNORE INTO instance_labels $labels RETURN NONE;
  INSERT INTO workflow_history $history RETURN NONE;
  FOR $row IN $rewritten { UPSERT $row.id CONTENT $row.content RETURN NONE };
  COMMIT`;

function fits(batch: readonly Unwritten[], next: Unwritten): boolean {
  if (batch.length === 0) return true;
  const size = batch.reduce((sum, unwritten) => sum + unwritten.size, next.size);
  return batch.length < BATCH && size <= BATCH_CHARACTERS;
}

interface Values {
  readonly fresh: ({ id: RecordId } & InstanceColumns)[];
  readonly changed: { id: RecordId; content: InstanceColumns }[];
  /** They and the time of creation never change, so what is there already stays. */
  readonly labels: { id: RecordId }[];
  readonly history: { id: RecordId; entries: string }[];
  readonly rewritten: { id: RecordId; content: { entries: string } }[];
  readonly cleared: unknown[];
  readonly gone: RecordId[];
}

function valuesOf(batch: readonly Unwritten[], isFirstTry: boolean): Values {
  const fresh: Values['fresh'] = [];
  const changed: Values['changed'] = [];
  const labels: Values['labels'] = [];
  const history: Values['history'] = [];
  const rewritten: Values['rewritten'] = [];
  const cleared = batch.filter(({ clears }) => clears > 0);
  for (const { id, stored, entries, isNew } of batch) {
    if (stored === null) continue;
    const content = columnsOf(stored);
    if (isNew && isFirstTry) fresh.push({ id: instanceId(id), ...content });
    else changed.push({ id: instanceId(id), content });
    for (const label of content.labels) labels.push({ id: new RecordId(LABELS, [label, content.position]) });
    for (const row of historyRows(id, entries)) {
      const content = { entries: joinEntries(row.entries) };
      if (isFirstTry) history.push({ id: row.id, ...content });
      else rewritten.push({ id: row.id, content });
    }
  }
  return {
    fresh,
    changed,
    labels,
    history,
    rewritten,
    cleared: cleared.map(({ id }) => historyRange(id, 0)),
    gone: cleared.map(({ id }) => instanceId(id)),
  };
}

function historyRows(id: InstanceId, entries: readonly NewEntry[]): { id: RecordId; entries: string[] }[] {
  const rows: { id: RecordId; entries: string[] }[] = [];
  let characters = 0;
  for (const { revision, text } of entries) {
    const row = rows.at(-1);
    characters += text.length;
    if (
      row === undefined ||
      row.entries.length === HISTORY_ROW_ENTRIES ||
      characters > HISTORY_ROW_CHARACTERS
    ) {
      rows.push({ id: new RecordId(HISTORY, [id, revision]), entries: [text] });
      characters = text.length;
    } else row.entries.push(text);
  }
  return rows;
}
