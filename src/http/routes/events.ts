import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { VaporaError } from '../../core/errors.js';
import type { EventRecord } from '../../core/events.js';
import type { App, ServerContext } from '../context.js';
import { type Event, listEvents, streamAll, streamInstance } from '../contract/events.js';
import { eventToWire } from '../contract/wire.js';
import { parsePosition } from '../event-hub.js';
import { followAll, followInstance } from '../follow.js';
import type { Identity } from '../identity.js';
import { addRoute } from '../routing.js';
import { EventConnection } from '../sse.js';
import { CallerStanding, ReaderStanding, type Standing } from '../standing.js';
import { readInstance } from './instances.js';

/** Streams at once, in all and of one caller. */
const MAX_STREAMS = 1_000;
const MAX_STREAMS_EACH = 100;

export function eventRoutes(app: App, context: ServerContext): void {
  const { api } = context;
  const streams = new Streams(app, context);
  addRoute(app, listEvents, async ({ params, query, identity }) => {
    await readInstance(context, identity, params.id);
    const events: z.output<typeof Event>[] = [];
    for await (const event of api.history(params.id, query.after)) {
      if (events.length === query.limit) return { events, next: events.at(-1)?.seq ?? null };
      events.push(eventAnswer(event));
    }
    return { events, next: null };
  });
  addRoute(app, streamInstance, async ({ params, query, identity, request, reply }) => {
    await readInstance(context, identity, params.id);
    const after = lastEventId(request, query.after) ?? '0';
    if (!/^\d{1,15}$/.test(after)) throw badPosition(after);
    const standing = new ReaderStanding(
      context,
      new CallerStanding(context, request.headers, identity),
      params.id,
    );
    return streams.open(identity, standing, reply, (connection) =>
      followInstance(context, connection, standing, params.id, Number(after)),
    );
  });
  addRoute(app, streamAll, async ({ query, identity, request, reply }) => {
    const after = lastEventId(request, query.after);
    const from = after === undefined ? null : parsePosition(after);
    if (after !== undefined && from === null) throw badPosition(after);
    const caller = new CallerStanding(context, request.headers, identity);
    return streams.open(identity, caller, reply, (connection) =>
      followAll(context, connection, caller, from),
    );
  });
}

function eventAnswer(event: EventRecord): z.output<typeof Event> {
  return eventToWire(event) as z.output<typeof Event>;
}

function lastEventId(request: FastifyRequest, after: string | undefined): string | undefined {
  const header = request.headers['last-event-id'];
  return typeof header === 'string' && header !== '' ? header : after;
}

function badPosition(text: string): VaporaError {
  return new VaporaError(
    'input_invalid',
    `\`${text.slice(0, 80)}\` is not the id of an event of this stream`,
    {
      hint: 'leave `Last-Event-ID` out to begin anew',
    },
  );
}

class Streams {
  readonly #context: ServerContext;
  readonly #open = new Map<EventConnection, string>();

  constructor(app: App, context: ServerContext) {
    this.#context = context;
    // whoever has lost a token is not to hear anything until the next heartbeat either
    context.tokens.onRevocation(() => {
      for (const connection of this.#open.keys()) void connection.confirm();
    });
    app.addHook('preClose', async () => {
      for (const connection of this.#open.keys()) connection.close();
    });
  }

  /** Throws `engine_overloaded` where there are too many, `rate_limited` where they are the caller's own. */
  open(
    { principal }: Identity,
    standing: Standing,
    reply: FastifyReply,
    follow: (connection: EventConnection) => Promise<void>,
  ): FastifyReply {
    const own = [...this.#open.values()].filter((user) => user === principal.user).length;
    if (own >= MAX_STREAMS_EACH) {
      throw new VaporaError('rate_limited', `${MAX_STREAMS_EACH} event streams of yours are open already`);
    }
    if (this.#open.size >= MAX_STREAMS) {
      throw new VaporaError('engine_overloaded', `${MAX_STREAMS} event streams are open already`);
    }
    const connection = new EventConnection(reply, this.#context.clock, standing);
    this.#open.set(connection, principal.user);
    follow(connection)
      .catch((error: unknown) => {
        if (error instanceof VaporaError) connection.fail(error);
        else reply.log.warn({ err: error }, 'an event stream broke off');
      })
      .finally(() => {
        connection.close();
        this.#open.delete(connection);
      });
    return reply;
  }
}
