/** Event streams: of one instance, and of all. */
import { LRUCache } from 'lru-cache';
import type { Notice } from '../core/api.js';
import type { EventRecord } from '../core/events.js';
import type { ServerContext } from './context.js';
import { eventToWire, toWire } from './contract/wire.js';
import { type Position, positionText } from './event-hub.js';
import { type EventConnection, Signal } from './sse.js';
import type { CallerStanding, ReaderStanding } from './standing.js';

/** Notices that wait for a reader; beyond that they are read from the history again. */
const MAX_WAITING = 256;
/**
 * Times of events are those of their decisions. Commits overtake each other by less than this, and clocks of two processes after one
 * another differ by less.
 */
export const REPLAY_MARGIN_MS = 60_000;
const MAX_KNOWN = 10_000;

/**
 * Sends all events of the instance after `afterSeq`, then each as it happens, until the connection is closed. Throws `unauthorized`
 * once the caller may no longer read it.
 */
export async function followInstance(
  context: ServerContext,
  connection: EventConnection,
  standing: ReaderStanding,
  id: string,
  afterSeq: number,
): Promise<void> {
  const { api } = context;
  const news = new Signal();
  let waiting: Notice[] = [];
  let isBehind = true;
  let lastSeq = afterSeq;
  const unsubscribe = api.subscribe((notice) => {
    if (waiting.length < MAX_WAITING) waiting.push(notice);
    else {
      waiting = [];
      isBehind = true;
    }
    news.set();
  }, id);
  const off = connection.onClose(() => news.set());
  const send = async (event: EventRecord): Promise<void> => {
    if (event.seq <= lastSeq) return;
    await standing.checkRead();
    lastSeq = event.seq;
    await connection.send({ id: String(event.seq), data: JSON.stringify(eventToWire(event)) });
  };
  try {
    while (!connection.isClosed) {
      if (isBehind) {
        isBehind = false;
        for await (const event of api.history(id, lastSeq)) {
          if (connection.isClosed) return;
          await send(event);
        }
      }
      for (const notice of waiting.splice(0)) {
        if (notice.kind === 'event') await send(notice.event);
        if (notice.kind !== 'progress') continue;
        await standing.checkRead();
        await connection.send({ event: 'progress', data: progressText(notice) });
      }
      if (!isBehind && waiting.length === 0) await news.wait();
    }
  } finally {
    off();
    unsubscribe();
  }
}

function progressText({ kind: _, ...progress }: Extract<Notice, { kind: 'progress' }>): string {
  return JSON.stringify(toWire(progress));
}

/**
 * Sends events of all instances that the caller may read, from `from` on, or from now on. After a restart, and to a reader who was
 * overtaken, some are sent again: every event is sent at least once, those of one instance in order.
 */
export async function followAll(
  context: ServerContext,
  connection: EventConnection,
  caller: CallerStanding,
  from: Position | null,
): Promise<void> {
  const { hub } = context;
  const readable = new Readable(context, caller);
  const news = new Signal();
  const unfollow = hub.follow(() => news.set());
  const off = connection.onClose(() => news.set());
  let at = from?.at ?? context.clock.now();
  let n = from === null ? hub.last : from.epoch === hub.epoch ? from.n : -1;
  try {
    while (!connection.isClosed) {
      const items = hub.after(n);
      if (items === null) {
        n = hub.last;
        await replay(context, connection, readable, at);
        continue;
      }
      for (const item of items) {
        if (connection.isClosed) return;
        n = item.n;
        at = Math.max(at, item.event.at);
        if (!(await readable.has(item.event.workflow_id))) continue;
        await connection.send({ id: positionText({ epoch: hub.epoch, n, at }), data: item.text });
      }
      if (items.length === 0) await news.wait();
    }
  } finally {
    off();
    unfollow();
  }
}

/** The position stays where it was: whoever is cut off meanwhile gets it all again. */
async function replay(
  context: ServerContext,
  connection: EventConnection,
  readable: Readable,
  at: number,
): Promise<void> {
  const since = at - REPLAY_MARGIN_MS;
  const id = positionText({ epoch: 'replay', n: 0, at });
  for await (const ids of context.changedSince(since)) {
    for (const instance of ids) {
      if (connection.isClosed) return;
      if (!(await readable.has(instance))) continue;
      for await (const event of context.api.history(instance)) {
        if (event.at >= since) await connection.send({ id, data: JSON.stringify(eventToWire(event)) });
      }
    }
  }
}

/** Which instances the caller may read; asked once for each while the policies are the same. */
class Readable {
  readonly #context: ServerContext;
  readonly #caller: CallerStanding;
  readonly #known = new LRUCache<string, boolean>({ max: MAX_KNOWN });
  #policySet: string | null;

  constructor(context: ServerContext, caller: CallerStanding) {
    this.#context = context;
    this.#caller = caller;
    this.#policySet = context.authorizer.policySet;
  }

  async has(id: string): Promise<boolean> {
    const { authorizer, guard, api } = this.#context;
    if (authorizer.policySet !== this.#policySet) {
      this.#policySet = authorizer.policySet;
      this.#known.clear();
    }
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    // deleted meanwhile: nobody can say any more who may read it
    const instance = await api.get(id).catch(() => null);
    const mayRead = instance !== null && guard.mayRead(this.#caller.identity, instance);
    this.#known.set(id, mayRead);
    return mayRead;
  }
}
