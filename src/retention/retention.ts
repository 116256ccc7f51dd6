/**
 * Lets go of what has ended, once it was kept as long as is configured: checks its history, exports it where that is asked for, keeps
 * an anchor, and only then removes it. Then removes content that no instance refers to any more.
 */
import type { Logger } from 'pino';
import type { AuditReport } from '../core/api.js';
import type { Attic } from '../core/attic.js';
import { VaporaError } from '../core/errors.js';
import type { Entry } from '../core/events.js';
import type { WorkflowInstance } from '../core/instance.js';
import type { Digest, InstanceId } from '../core/names.js';
import type { Clock, EndedInstance, EndedInstances } from '../core/ports.js';
import type { Archive } from './archive.js';

const FIRST_RUN_MS = 30_000;
const EVERY_MS = 3_600_000;
/** Instances of one batch, and of one file of the archive. */
const BATCH = 100;
const SIDE_BY_SIDE = 8;
/** Between two batches, so that work goes before tidying. */
const BREATHER_MS = 50;
/**
 * Content that nobody refers to is kept for so long after it was saved last: attempts hand content in before their result is
 * committed, and may outlive an engine meanwhile.
 */
const CONTENT_KEPT_MS = 7 * 86_400_000;
const CONTENT_BATCH = 50;
/** Longer than any window of a shared budget. */
const CHARGES_KEPT_MS = 62 * 86_400_000;

export interface RetentionParts {
  readonly engine: {
    get(id: string): Promise<WorkflowInstance>;
    entries(id: string): AsyncIterable<Entry>;
    verifyAudit(id: string): Promise<AuditReport>;
    purge(id: InstanceId, head: Digest): Promise<boolean>;
  };
  readonly ended: EndedInstances;
  readonly attic: Attic;
  readonly clock: Clock;
  readonly log: Logger;
  /** After their end; null: for ever. */
  readonly keepMs: number | null;
  readonly archive: Archive | null;
  /** What ended before this time has started all that it is to start. */
  readonly followedUntil: () => Promise<number>;
  /** Told of each run; null: it failed. */
  readonly onRun: (report: RetentionReport | null) => void;
}

export interface RetentionReport {
  /** Instances that are gone, by workflow. */
  readonly purged: ReadonlyMap<string, number>;
  /** Instances that stay although their time is over, because their history is broken. */
  readonly broken: number;
  readonly contents: number;
  readonly contentBytes: number;
  /** When the run ended. */
  readonly at: number;
}

export class Retention {
  readonly #parts: RetentionParts;
  #cancel: (() => void) | null = null;
  #running: Promise<RetentionReport> | null = null;
  #isClosed = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** Runs a while after the start, and then every hour. */
  start(): void {
    this.#later(FIRST_RUN_MS);
  }

  /** Runs now; where a run is under way, that one is answered for. Throws what the store and the archive throw. */
  run(): Promise<RetentionReport> {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Resolves once nothing is being removed any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    await this.#running?.catch(() => undefined);
  }

  #later(delayMs: number): void {
    if (this.#isClosed) return;
    this.#cancel = this.#parts.clock.after(delayMs, () => {
      this.run()
        .catch((error: unknown) => {
          if (this.#isClosed) return;
          this.#parts.log.error({ err: error }, 'what has ended could not be tidied away');
          this.#parts.onRun(null);
        })
        .finally(() => this.#later(EVERY_MS));
    });
  }

  async #run(): Promise<RetentionReport> {
    const { attic, clock, log, onRun } = this.#parts;
    // content first: what the instances of this run refer to is not touched before the next one
    const { contents, contentBytes } = await this.#collect();
    const { purged, broken } = await this.#purge();
    await attic.dropCharges(clock.now() - CHARGES_KEPT_MS);
    const report = { purged, broken, contents, contentBytes, at: clock.now() };
    const instances = [...purged.values()].reduce((sum, count) => sum + count, 0);
    if (instances + contents + broken > 0)
      log.info({ instances, broken, contents, bytes: contentBytes }, 'retention');
    onRun(report);
    return report;
  }

  async #collect(): Promise<{ contents: number; contentBytes: number }> {
    const { attic, clock } = this.#parts;
    const before = clock.now() - CONTENT_KEPT_MS;
    let contents = 0;
    let contentBytes = 0;
    while (!this.#isClosed) {
      const { looked, removed, bytes } = await attic.collectBlobs(before, CONTENT_BATCH);
      contents += removed;
      contentBytes += bytes;
      if (looked < CONTENT_BATCH) break;
      await this.#breathe();
    }
    return { contents, contentBytes };
  }

  async #purge(): Promise<{ purged: ReadonlyMap<string, number>; broken: number }> {
    const { ended, clock, keepMs, followedUntil } = this.#parts;
    const before = keepMs === null ? 0 : Math.min(clock.now() - keepMs, await followedUntil());
    const purged = new Map<string, number>();
    let broken = 0;
    let after: EndedInstance | undefined;
    for (let number = 1; before > 0 && !this.#isClosed; number += 1) {
      const batch: readonly EndedInstance[] = await ended.ended({
        from: 0,
        before,
        limit: BATCH,
        ...(after === undefined ? {} : { after }),
      });
      const whole = await this.#whole(batch);
      broken += batch.length - whole.length;
      for (const { template } of await this.#letGo(whole, number)) {
        purged.set(template, (purged.get(template) ?? 0) + 1);
      }
      after = batch.at(-1);
      if (batch.length < BATCH) break;
      await this.#breathe();
    }
    return { purged, broken };
  }

  /** A history that was tampered with is evidence: it stays. */
  async #whole(batch: readonly EndedInstance[]): Promise<readonly AuditReport[]> {
    const { engine, log } = this.#parts;
    return inGroups(batch, async ({ id }) => {
      const report = await engine.verifyAudit(id).catch((error: unknown) => {
        if (error instanceof VaporaError && error.code === 'instance_unknown') return null;
        throw error;
      });
      if (report === null || report.broken === null) return report;
      const { revision, reason } = report.broken;
      log.error({ instance: id, revision, reason }, 'kept: its history is broken');
      return null;
    });
  }

  async #letGo(
    reports: readonly AuditReport[],
    number: number,
  ): Promise<readonly { readonly template: string }[]> {
    const { engine, attic, clock, archive } = this.#parts;
    if (reports.length === 0) return [];
    const purgedAt = clock.now();
    if (archive !== null) {
      const name = `${new Date(purgedAt).toISOString().replaceAll(':', '-')}-${number}.jsonl`;
      await archive.write(
        name,
        reports.map(({ id }) => engine.entries(id)),
      );
    }
    const anchors = await inGroups(reports, async ({ id, head }) => {
      const { templateName, status, initiator, createdAt, endedAt, revision } = await engine.get(id);
      return {
        id,
        template: templateName,
        status,
        initiator: initiator.user,
        createdAt,
        endedAt: endedAt ?? purgedAt,
        revision,
        head,
        purgedAt,
      };
    });
    await attic.saveAnchors(anchors);
    return inGroups(anchors, async ({ id, head, template }) =>
      (await engine.purge(id, head)) ? { template } : null,
    );
  }

  async #breathe(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#parts.clock.after(BREATHER_MS, resolve);
    });
  }
}

/** Some at a time; null is left out. */
async function inGroups<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R | null>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += SIDE_BY_SIDE) {
    const some = await Promise.all(items.slice(start, start + SIDE_BY_SIDE).map(work));
    results.push(...some.filter((result) => result !== null));
  }
  return results;
}
