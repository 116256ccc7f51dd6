/** Schedules: what starts instances at their time. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Time, TimeOrNull, WantedName } from './shapes.js';

const SCHEDULES = `${API_PREFIX}/schedules`;
const tag = 'schedules';
const ScheduleParams = z.object({ workflow: WantedName });

export const Schedule = z
  .object({
    workflow: z.string(),
    cron: z.string(),
    timezone: z.string(),
    overlap: z.enum(['skip', 'wait', 'allow']),
    catch_up: z.enum(['skip', 'latest', 'all']),
    next_at: TimeOrNull.meta({ description: 'null: never, or not while it is paused' }),
    last: z
      .object({
        at: Time,
        outcome: z.enum(['started', 'skipped', 'refused']),
        reason: z.string().nullable(),
      })
      .nullable()
      .meta({ description: 'what became of the last time that was due' }),
    last_id: z.string().nullable().meta({ description: 'the instance that it started last' }),
    paused: z.object({ by: z.string(), at: Time }).nullable(),
  })
  .meta({ id: 'Schedule' });

export const listSchedules = endpoint({
  method: 'GET',
  path: SCHEDULES,
  id: 'listSchedules',
  tag,
  summary: 'list the schedules, and when each comes next',
  answer: z.object({ schedules: z.array(Schedule) }),
});

export const pauseSchedule = endpoint({
  method: 'POST',
  path: `${SCHEDULES}/:workflow/pause`,
  id: 'pauseSchedule',
  tag,
  summary: 'let a schedule start nothing until it is resumed',
  params: ScheduleParams,
  answer: Schedule,
});

export const resumeSchedule = endpoint({
  method: 'POST',
  path: `${SCHEDULES}/:workflow/resume`,
  id: 'resumeSchedule',
  tag,
  summary: 'let a schedule that was paused start instances again, from its next time on',
  params: ScheduleParams,
  answer: Schedule,
});
