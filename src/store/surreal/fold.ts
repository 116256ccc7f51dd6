/** From entries to states: what the journal's tail adds to a row, and a row that leaves its state to its history. */
import { VaporaError } from '../../core/errors.js';
import type { Entry } from '../../core/events.js';
import type { WorkflowInstance } from '../../core/instance.js';
import type { Digest, InstanceId } from '../../core/names.js';
import type { StoredInstance } from '../../core/ports.js';
import type { WorkflowTemplate } from '../../core/template.js';
import { auditBroken, CHAIN_START, readEntry, verifyChain } from '../chain.js';
import type { Database } from './database.js';
import { messageOf } from './fault.js';
import { historyRange, instanceId, type StateRow, splitEntries, storedOf } from './rows.js';

/** Folds one commit into a state; the core's `applyEntry`. */
export type Fold = (
  template: WorkflowTemplate,
  instance: WorkflowInstance | null,
  entry: Pick<Entry, 'instance' | 'revision' | 'firstSeq' | 'at' | 'events'>,
) => WorkflowInstance;

export interface FoldParts {
  readonly db: Database;
  readonly fold: Fold;
  readonly loadTemplate: (hash: Digest) => Promise<WorkflowTemplate | null>;
}

/** Row and history as of one moment. The history is read only where the state is left to it. */
const READ = `SELECT head, revision, state, IF state = NONE { (SELECT VALUE entries FROM $history) } AS entries FROM $id`;

/** The instance as its row says, or its history. Throws `audit_broken` where that is not whole, `store_unreadable`. */
export async function loadRow(id: InstanceId, parts: FoldParts): Promise<StoredInstance | null> {
  const [found] = await parts.db.run(READ, { id: instanceId(id), history: historyRange(id, 1) });
  const row = (found as readonly (StateRow & { readonly entries?: readonly string[] })[])[0];
  if (row === undefined) return null;
  const { head, state, entries = [] } = row;
  return state === undefined ? foldHistory(id, row, entries, parts) : storedOf(head, state, parts.db.place);
}

/** INVARIANT: what is not covered by the hashes, up to the head that the row remembers, is never shown as the instance's state. */
async function foldHistory(
  id: InstanceId,
  { revision, head }: StateRow,
  texts: readonly string[],
  parts: FoldParts,
): Promise<StoredInstance | null> {
  const entries = texts.flatMap(splitEntries).map(readEntry);
  const { broken } = await verifyChain(entries, id, { revision, hash: head });
  if (broken !== null) {
    throw auditBroken(
      `the history of instance \`${id}\` is broken at revision ${broken.revision}: ${broken.reason}`,
    );
  }
  let stored: StoredInstance | null = null;
  for (const entry of entries) stored = await foldEntry(stored, entry, parts);
  return stored;
}

/** Throws `store_unreadable` where the entry does not fit. */
export async function foldEntry(
  current: StoredInstance | null,
  entry: Entry,
  parts: FoldParts,
): Promise<StoredInstance> {
  const { instance: id, revision } = entry;
  if (entry.previous !== (current?.head ?? CHAIN_START)) {
    throw unreadable(`revision ${revision} of instance \`${id}\` in the journal does not follow its row`);
  }
  const hash = current?.instance.templateHash ?? templateOf(entry);
  const template = hash === undefined ? null : await parts.loadTemplate(hash);
  if (template === null)
    throw unreadable(`the template of instance \`${id}\` is not in the store ${parts.db.place}`);
  try {
    return { instance: parts.fold(template, current?.instance ?? null, entry), head: entry.hash };
  } catch (cause) {
    throw unreadable(
      `revision ${revision} of instance \`${id}\` can't be applied: ${messageOf(cause)}`,
      cause,
    );
  }
}

function templateOf(entry: Entry): Digest | undefined {
  const [created] = entry.events;
  return created?.type === 'workflow_created' ? created.templateHash : undefined;
}

export function unreadable(message: string, cause?: unknown): VaporaError {
  return new VaporaError('store_unreadable', message, {
    hint: 'the data was changed by something else than this engine; restore a backup',
    ...(cause === undefined ? {} : { cause }),
  });
}
