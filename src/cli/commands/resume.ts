/** `vapora resume`: goes on with one instance, or with all that are not at an end. */
import { VaporaError } from '../../core/errors.js';
import { type InstanceStatus, isLive, type WorkflowInstance } from '../../core/instance.js';
import { exitOfRest, wishAndDrive } from '../drive.js';
import { resultJson } from '../json.js';
import { type Session, withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';
import { summaryLines } from '../summary.js';

export interface ResumeOptions extends PersonOptions {
  readonly all?: boolean;
}

export async function resume(shell: Shell, id: string | undefined, options: ResumeOptions): Promise<number> {
  if ((id === undefined) === (options.all !== true)) {
    throw new VaporaError('usage', 'give either the id of an instance or `--all`');
  }
  return withEngine(shell, (session) =>
    id === undefined ? resumeAll(shell, session) : resumeOne(shell, session, id, options),
  );
}

async function resumeOne(
  shell: Shell,
  session: Session,
  id: string,
  options: PersonOptions,
): Promise<number> {
  const { api } = session;
  const before = await api.get(id);
  if (!isLive(before)) {
    shell.note(`instance ${before.id} has ended: it is ${before.status}`);
    shell.json(resultJson(before, await api.artifacts(id)));
    shell.say(...summaryLines(before, shell.colors));
    return exitOfRest(before);
  }
  const rest = await wishAndDrive(shell, session, id, () => api.resume(id, session.person(options)));
  return exitOfRest(rest);
}

const LIVE_STATES = ['draft', 'active', 'waiting_approval', 'blocked', 'compensating'] as const;
const PAGE = 1_000;

async function resumeAll(shell: Shell, session: Session): Promise<number> {
  const { api } = session;
  const ids = new Set<string>();
  // an ended instance whose dead letter is being tried again is in no list of live states
  const unsubscribe = api.subscribe((notice) => {
    if (notice.kind === 'event') ids.add(notice.event.workflow_id);
  });
  for (const status of LIVE_STATES) await collect(session, status, ids);
  const woken = await session.recover();
  if (woken === 0 && ids.size === 0) {
    shell.say('nothing to resume: every instance has ended');
    return 0;
  }
  const rested = new Map<string, WorkflowInstance>();
  for (let open = [...ids]; open.length > 0; open = [...ids].filter((id) => !rested.has(id))) {
    await Promise.all(
      open.map(async (id) => {
        const rest = await api.untilRest(id);
        rested.set(id, rest);
        shell.json(resultJson(rest, await api.artifacts(id)));
        shell.say(...summaryLines(rest, shell.colors).slice(0, 2));
      }),
    );
  }
  unsubscribe();
  return worstExit([...rested.values()].map(exitOfRest));
}

async function collect({ api }: Session, status: InstanceStatus, ids: Set<string>): Promise<void> {
  let cursor: string | null | undefined;
  do {
    const page = await api.list({ status, limit: PAGE, ...(cursor ? { cursor } : {}) });
    for (const item of page.items) ids.add(item.id);
    cursor = page.next;
  } while (cursor !== null);
}

/** What needs attention most comes first. */
const WORST_FIRST = [5, 1, 3, 4];

export function worstExit(exits: readonly number[]): number {
  return WORST_FIRST.find((exit) => exits.includes(exit)) ?? 0;
}
