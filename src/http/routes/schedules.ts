import type { z } from 'zod';
import type { ScheduleInfo } from '../../core/api.js';
import type { App, ServerContext } from '../context.js';
import { listSchedules, pauseSchedule, resumeSchedule, type Schedule } from '../contract/schedules.js';
import { toWire } from '../contract/wire.js';
import { addRoute } from '../routing.js';

export function scheduleRoutes(app: App, { triggers: { scheduler } }: ServerContext): void {
  addRoute(app, listSchedules, async () => ({ schedules: (await scheduler.schedules()).map(answer) }));
  addRoute(app, pauseSchedule, async ({ params, identity }) =>
    answer(await scheduler.pauseSchedule(params.workflow, identity.principal)),
  );
  addRoute(app, resumeSchedule, async ({ params, identity }) =>
    answer(await scheduler.resumeSchedule(params.workflow, identity.principal)),
  );
}

function answer(info: ScheduleInfo): z.output<typeof Schedule> {
  return toWire(info) as z.output<typeof Schedule>;
}
