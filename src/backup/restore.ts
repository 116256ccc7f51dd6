/** Puts what a backup holds into a store: every commit again, one after the other, each checked by its hash. */
import { canonicalJson } from '../config/canonical.js';
import type { Anchor, Attic, RestoreBook } from '../core/attic.js';
import { chargeOf } from '../core/budget.js';
import type { DecisionBook } from '../core/decision-log.js';
import { VaporaError } from '../core/errors.js';
import type { Entry } from '../core/events.js';
import { applyEntry } from '../core/evolve.js';
import type { TokenBook } from '../core/identities.js';
import type { Digest } from '../core/names.js';
import type { StoredInstance, TriggerBook, WorkflowStore } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import type { BackupLine, BackupSummary } from './format.js';
import { invalid } from './read.js';

/** Instances side by side: commits go to disk together. */
const SIDE_BY_SIDE = 64;
const ANCHORS = 500;

export type RestoreTarget = Pick<
  WorkflowStore,
  'list' | 'load' | 'save' | 'saveTemplate' | 'loadTemplate' | 'saveBlob'
> &
  TriggerBook &
  TokenBook &
  DecisionBook & { readonly attic: Attic; readonly restores: RestoreBook };

/**
 * Restores into a store that is empty, or goes on with a restore of the same backup that was cut off. Throws `store_not_empty`,
 * `backup_invalid`, and what the store throws. Until it resolves the store can be opened by nobody else.
 */
export async function restoreBackup(
  target: RestoreTarget,
  lines: AsyncIterable<BackupLine>,
  now: () => number,
): Promise<BackupSummary> {
  await checkEmpty(target);
  await target.restores.beginRestore(now());
  const restore = new Restore(target);
  try {
    for await (const line of lines) await restore.take(line);
  } finally {
    await restore.settle();
  }
  const summary = await restore.finish();
  await target.restores.endRestore(now());
  return summary;
}

async function checkEmpty(target: RestoreTarget): Promise<void> {
  if (await target.restores.isHalfRestored()) {
    // all else is saved again in its own place
    await target.dropDecisions(Number.MAX_SAFE_INTEGER);
    return;
  }
  const { items } = await target.list({ limit: 1 });
  const [marks, tokens] = await Promise.all([target.marks(), target.tokens()]);
  if (items.length + marks.length + tokens.length === 0) return;
  throw new VaporaError('store_not_empty', 'the store holds something already', {
    hint: 'restore into a new one: set `store` or `VAPORA_STORE` to a place where nothing is',
  });
}

class Restore {
  readonly #target: RestoreTarget;
  readonly #under = new Set<Promise<void>>();
  readonly #broken: BackupSummary['broken'][number][] = [];
  #failure: unknown = null;
  #entries: Entry[] = [];
  #pieces: Uint8Array[] = [];
  #anchors: Anchor[] = [];
  #at = 0;
  #counts = { instances: 0, entries: 0, contents: 0 };

  constructor(target: RestoreTarget) {
    this.#target = target;
  }

  async take(line: BackupLine): Promise<void> {
    switch (line.kind) {
      case 'begin':
        this.#at = line.at;
        return;
      case 'mark':
        return this.#target.saveMark(line.mark);
      case 'token':
        return this.#target.saveToken(line.token);
      case 'decisions':
        return this.#target.saveDecisions(line.decisions);
      case 'template':
        return this.#target.saveTemplate(line.template);
      case 'content':
        return this.#takePiece(line.digest, line.isLast, line.piece);
      case 'entry':
        this.#entries.push(line.entry);
        return;
      case 'instance':
        return this.#takeInstance({ instance: line.instance, head: line.head });
      case 'broken':
        this.#broken.push({ id: line.id, reason: line.reason });
        return;
      case 'anchor':
        this.#anchors.push(line.anchor);
        if (this.#anchors.length === ANCHORS) await this.#saveAnchors();
        return;
      case 'end':
        return;
      default:
        throw invalid(`a line is of the unknown kind \`${(line as { kind: unknown }).kind}\``);
    }
  }

  async finish(): Promise<BackupSummary> {
    await this.#saveAnchors();
    if (this.#failure !== null) throw this.#failure;
    if (this.#entries.length > 0) throw invalid('entries of no instance are at its end');
    return { at: this.#at, ...this.#counts, broken: this.#broken };
  }

  /** Resolves once nothing is being written any more. */
  async settle(): Promise<void> {
    while (this.#under.size > 0) await Promise.race(this.#under);
  }

  async #takePiece(digest: Digest, isLast: boolean, piece: string): Promise<void> {
    this.#pieces.push(Buffer.from(piece, 'base64'));
    if (!isLast) return;
    const saved = await this.#target.saveBlob(Buffer.concat(this.#pieces));
    this.#pieces = [];
    if (saved !== digest) throw invalid(`content \`${digest}\` is not what its digest says`);
    this.#counts.contents += 1;
  }

  async #takeInstance(wanted: StoredInstance): Promise<void> {
    const entries = this.#entries;
    this.#entries = [];
    while (this.#under.size >= SIDE_BY_SIDE) await Promise.race(this.#under);
    if (this.#failure !== null) throw this.#failure;
    const restoring = restoreInstance(this.#target, wanted, entries).catch((error: unknown) => {
      this.#failure ??= error;
    });
    const settled: Promise<void> = restoring.then(() => {
      this.#under.delete(settled);
    });
    this.#under.add(settled);
    this.#counts.instances += 1;
    this.#counts.entries += entries.length;
  }

  async #saveAnchors(): Promise<void> {
    if (this.#anchors.length > 0) await this.#target.attic.saveAnchors(this.#anchors);
    this.#anchors = [];
  }
}

async function restoreInstance(
  target: RestoreTarget,
  wanted: StoredInstance,
  entries: readonly Entry[],
): Promise<void> {
  const { id, templateHash } = wanted.instance;
  const template: WorkflowTemplate | null = await target.loadTemplate(templateHash);
  if (template === null) throw invalid(`the template of instance \`${id}\` is missing`);
  let stored = await target.load(id);
  const from = stored?.instance.revision ?? 0;
  if (stored !== null && entries[from - 1]?.hash !== stored.head) {
    throw new VaporaError('instance_exists', `instance \`${id}\` is another one than that of the backup`);
  }
  for (const entry of entries.slice(from)) {
    const next = applyEntry(template, stored?.instance ?? null, entry);
    const saved: StoredInstance = await target.save({
      previous: stored,
      next,
      at: entry.at,
      events: entry.events,
      charge: chargeOf(template, stored?.instance ?? null, next, entry.at),
    });
    if (saved.head !== entry.hash)
      throw invalid(`the history of instance \`${id}\` is not what its hashes say`);
    stored = saved;
  }
  const isSame =
    stored !== null &&
    stored.head === wanted.head &&
    canonicalJson(stored.instance) === canonicalJson(wanted.instance);
  if (!isSame) throw invalid(`instance \`${id}\` is not what its history leads to`);
}
