/** `vapora audit`: whether histories are as they were written, and their export. */
import type { AuditReport, WorkflowApi } from '../../core/api.js';
import { VaporaError } from '../../core/errors.js';
import { readEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { clean, count } from '../text.js';

export interface VerifyOptions {
  readonly all?: boolean;
}

const PAGE = 1_000;
/** Some, so that reading overlaps checking; not all, so that memory stays small. */
const SIDE_BY_SIDE = 16;

export async function verifyAudit(
  shell: Shell,
  id: string | undefined,
  options: VerifyOptions,
): Promise<number> {
  if (id !== undefined && options.all === true)
    throw new VaporaError('usage', 'give an id or `--all`, not both');
  return readEngine(shell, async ({ api }) => {
    let instances = 0;
    let broken = 0;
    for await (const report of id === undefined ? reportsOfAll(api) : [await api.verifyAudit(id)]) {
      instances += 1;
      if (report.broken !== null) broken += 1;
      shell.json(reportJson(report));
      shell.say(reportLine(report, shell));
    }
    if (id === undefined) shell.say(`${count(instances, 'instance')} verified, ${broken} broken`);
    return broken === 0 ? 0 : 1;
  });
}

async function* reportsOfAll(api: WorkflowApi): AsyncIterable<AuditReport> {
  let cursor: string | null | undefined;
  do {
    const page = await api.list({ limit: PAGE, ...(cursor ? { cursor } : {}) });
    for (let from = 0; from < page.items.length; from += SIDE_BY_SIDE) {
      const some = page.items.slice(from, from + SIDE_BY_SIDE);
      yield* await Promise.all(some.map((item) => api.verifyAudit(item.id)));
    }
    cursor = page.next;
  } while (cursor !== null);
}

function reportJson({ id, entries, events, head, broken }: AuditReport): Record<string, unknown> {
  return { workflow_id: id, ok: broken === null, entries, events, head, broken };
}

function reportLine({ id, entries, events, head, broken }: AuditReport, { colors }: Shell): string {
  if (broken !== null) {
    return `${colors.red('✗')} ${clean(id)}  broken at entry ${broken.revision}: ${clean(broken.reason)}`;
  }
  return `${colors.green('✓')} ${clean(id)}  ${count(events, 'event')} in ${entries === 1 ? '1 entry' : `${entries} entries`}, head ${head.slice(0, 12)}`;
}

/** Entries as they are kept, so that whoever reads them can check the hashes. JSON lines whatever the options say. */
export async function exportAudit(shell: Shell, id: string): Promise<number> {
  return readEngine(shell, async ({ api }) => {
    for await (const entry of api.entries(id)) {
      shell.host.stdout.write(`${JSON.stringify(entry)}\n`);
    }
    return 0;
  });
}
