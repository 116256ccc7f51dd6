/** `vapora history`: what happened to an instance, event by event. */
import type { EventRecord } from '../../core/events.js';
import { isLive, type WorkflowInstance } from '../../core/instance.js';
import { eventWords } from '../event-words.js';
import { eventJson } from '../json.js';
import { toned } from '../palette.js';
import { readEngine, type Session } from '../session.js';
import type { Shell } from '../shell.js';
import { clean, isoTime, padTo, width } from '../text.js';

export interface HistoryOptions {
  readonly follow?: boolean;
}

/** Another orchestrator on the same store is not heard of, only seen. */
const POLL_MS = 1_000;
const MAX_SUBJECT = 32;

export async function history(shell: Shell, id: string, options: HistoryOptions): Promise<number> {
  return readEngine(shell, async (session) => {
    const instance = await session.api.get(id);
    const lastSeq = await showSince(shell, session, instance, 0);
    if (options.follow === true) await follow(shell, session, instance, lastSeq);
    return 0;
  });
}

/** Until the instance has ended for good, or nobody reads any more. */
async function follow(shell: Shell, session: Session, first: WorkflowInstance, shown: number): Promise<void> {
  let lastSeq = shown;
  let instance = first;
  while (isLive(instance) && !shell.host.isDeaf()) {
    await new Promise<void>((resolve) => shell.clock.after(POLL_MS, resolve));
    instance = await session.api.get(instance.id);
    lastSeq = await showSince(shell, session, instance, lastSeq);
  }
}

async function showSince(
  shell: Shell,
  { api }: Session,
  instance: WorkflowInstance,
  afterSeq: number,
): Promise<number> {
  const subjectWidth = Math.min(
    MAX_SUBJECT,
    Math.max(0, ...instance.stages.map(({ name }) => width(clean(name)))),
  );
  let lastSeq = afterSeq;
  for await (const event of api.history(instance.id, afterSeq)) {
    lastSeq = event.seq;
    shell.json(eventJson(event));
    shell.say(historyLine(event, subjectWidth, shell));
  }
  return lastSeq;
}

/** `  12  2026-11-23T19:50:28.123Z  ✓ stage_completed       build  completed`. */
export function historyLine(
  event: EventRecord,
  subjectWidth: number,
  { colors }: Pick<Shell, 'colors'>,
): string {
  const { glyph, tone, subject, words } = eventWords(event);
  const number = String(event.seq).padStart(5);
  const type = event.type.padEnd(TYPE_WIDTH);
  return `${colors.dim(`${number}  ${isoTime(event.at)}`)}  ${toned(colors, tone, glyph)} ${type}  ${padTo(subject, subjectWidth)}  ${words}`;
}

/** The longest event type. */
const TYPE_WIDTH = 26;
