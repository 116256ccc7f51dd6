import type { z } from 'zod';
import type { EventRecord } from '../../core/events.js';
import type { App, ServerContext } from '../context.js';
import { type Event, listEvents } from '../contract/events.js';
import { eventToWire } from '../contract/wire.js';
import { addRoute } from '../routing.js';
import { readInstance } from './instances.js';

export function eventRoutes(app: App, context: ServerContext): void {
  const { api } = context;
  addRoute(app, listEvents, async ({ params, query, identity }) => {
    await readInstance(context, identity, params.id);
    const events: z.output<typeof Event>[] = [];
    for await (const event of api.history(params.id, query.after)) {
      if (events.length === query.limit) return { events, next: events.at(-1)?.seq ?? null };
      events.push(eventAnswer(event));
    }
    return { events, next: null };
  });
}

function eventAnswer(event: EventRecord): z.output<typeof Event> {
  return eventToWire(event) as z.output<typeof Event>;
}
