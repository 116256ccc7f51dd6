/** `vapora schedules`: what starts instances at their time. */
import type { ScheduleInfo } from '../../core/api.js';
import { scheduleJson } from '../json.js';
import { readEngine, type Session, withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { clean, count, moment } from '../text.js';

export async function listSchedules(shell: Shell): Promise<number> {
  return readEngine(shell, async ({ schedules }) => {
    const infos = await schedules.schedules();
    shell.json({ schedules: infos.map(scheduleJson) });
    shell.say(...scheduleLines(infos, shell));
    return 0;
  });
}

function scheduleLines(infos: readonly ScheduleInfo[], { colors }: Shell): string[] {
  if (infos.length === 0) return ['no schedules: no workflow has `trigger = "schedule"`'];
  const rows = infos.map((info) => [
    clean(info.workflow),
    `${clean(info.cron)} ${clean(info.timezone)}`,
    info.paused !== null ? `paused by ${clean(info.paused.by)}` : timeOrNever(info.nextAt),
    info.last === null ? '' : `${moment(info.last.at)} ${info.last.outcome}`,
    clean(info.last?.reason ?? info.lastId ?? ''),
  ]);
  const head = ['WORKFLOW', 'WHEN', 'NEXT', 'LAST', ''];
  const note = `${count(infos.length, 'schedule')}: they start instances while a server (\`vapora serve\`) runs`;
  return [...tableLines(head, rows, colors), '', note];
}

function timeOrNever(at: number | null): string {
  return at === null ? 'never' : moment(at);
}

export function pauseSchedule(shell: Shell, workflow: string, options: PersonOptions): Promise<number> {
  return change(
    shell,
    ({ schedules, person }) => schedules.pauseSchedule(workflow, person(options)),
    'paused',
  );
}

export function resumeSchedule(shell: Shell, workflow: string, options: PersonOptions): Promise<number> {
  return change(
    shell,
    ({ schedules, person }) => schedules.resumeSchedule(workflow, person(options)),
    'resumed',
  );
}

function change(
  shell: Shell,
  wish: (session: Session) => Promise<ScheduleInfo>,
  word: string,
): Promise<number> {
  return withEngine(shell, async (session) => {
    const info = await wish(session);
    shell.json(scheduleJson(info));
    shell.say(`${word} the schedule of ${clean(info.workflow)}`);
    if (info.paused === null) shell.say(`next: ${timeOrNever(info.nextAt)}`);
    return 0;
  });
}
