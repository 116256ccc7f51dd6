/** Readers that take what is sent slowly, or not at all, over real sockets. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fastify from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TestClock } from '../testing/test-clock.js';
import { openHttpRig } from './rig.suite.js';
import { EventConnection } from './sse.js';

const FRAME = JSON.stringify('x'.repeat(64 * 1_024));
const STALLED_MS = 60_000;

/** Asks for a stream, and reads nothing of it. */
async function openReader(port: number, path: string, headers = ''): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  onTestFinished(() => {
    socket.destroy();
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.pause();
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${headers}\r\n`);
  return socket;
}

interface Served {
  readonly connection: EventConnection;
  readonly waiting: () => number;
  readonly reader: Socket;
  readonly clock: TestClock;
}

async function serveOne(): Promise<Served> {
  const clock = new TestClock();
  const app = fastify();
  onTestFinished(() => app.close());
  const opened = new Promise<Pick<Served, 'connection' | 'waiting'>>((resolve) => {
    app.get('/', async (_, reply) => {
      const connection = new EventConnection(reply, clock, {
        until: Number.POSITIVE_INFINITY,
        confirm: async () => {},
      });
      resolve({ connection, waiting: () => reply.raw.writableLength });
      return reply;
    });
  });
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  const reader = await openReader(Number(url.port), '/');
  return { ...(await opened), reader, clock };
}

/** Sends until the reader's side is full; answers what waits then. */
async function fill({ connection }: Served): Promise<{ readonly sending: Promise<void> }> {
  for (;;) {
    const sending = connection.send({ data: FRAME });
    const isThrough = await Promise.race([
      sending.then(() => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), 200)),
    ]);
    if (!isThrough) return { sending };
  }
}

describe('a reader that takes nothing', () => {
  it('has whoever writes wait, and nothing piles up', async () => {
    const served = await serveOne();
    const pending = await fill(served);
    expect(served.waiting()).toBeLessThan(FRAME.length * 3);
    // it takes all of it after all, and then there is room again
    served.reader.resume();
    await pending.sending;
    expect(served.connection.isClosed).toBe(false);
  });

  it('is cut off after a minute, which it sees, and whoever writes goes on', async () => {
    const served = await serveOne();
    const pending = await fill(served);
    await served.clock.advance(STALLED_MS - 1);
    expect(served.connection.isClosed).toBe(false);
    const gone = once(served.reader, 'close');
    await served.clock.advance(1);
    await pending.sending;
    expect(served.connection.isClosed).toBe(true);
    await served.connection.send({ data: FRAME });
    served.reader.resume();
    await gone;
  });

  it('may do so again and again: no timer is left of it', async () => {
    const served = await serveOne();
    let closed = 0;
    served.connection.onClose(() => {
      closed += 1;
    });
    for (let round = 0; round < 3; round += 1) {
      const pending = await fill(served);
      served.reader.resume();
      await pending.sending;
      served.reader.pause();
    }
    // the heartbeat alone waits for the clock
    expect(served.clock.pending).toBe(1);
    served.connection.close();
    expect([closed, served.clock.pending]).toEqual([1, 0]);
  });
});

describe('a reader of all events that was overtaken', () => {
  it('hears every event, those of one instance in order, from where it was', async () => {
    const rig = await openHttpRig();
    const url = new URL(await rig.listen());
    const reader = await openReader(Number(url.port), '/api/v1/events/stream');
    await rig.streaming(1);
    const count = 250;
    // more than is kept for those who follow, and more than sockets hold
    const input = { text: 'x'.repeat(60_000) };
    for (let number = 0; number < count; number += 1) {
      const asked = { workflow: 'good', id: `n${number}`, input };
      expect((await rig.ask('POST', '/api/v1/instances', { body: asked })).status).toBe(201);
    }
    const heard = new Map<string, number[]>();
    let done = 0;
    let text = '';
    reader.resume();
    for await (const chunk of reader) {
      text += String(chunk);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.startsWith('data: ')) continue;
        const { workflow_id, seq, type } = JSON.parse(line.slice(6));
        const seqs = heard.get(workflow_id) ?? [];
        // told again is told again from the beginning
        if (seq === 1) seqs.length = 0;
        if (seq > (seqs.at(-1) ?? 0)) seqs.push(seq);
        heard.set(workflow_id, seqs);
        if (type === 'workflow_completed') done = [...heard.values()].length;
      }
      const isAll =
        done === count && [...heard.values()].every((seqs) => seqs.length > 5 && seqs.length === seqs.at(-1));
      if (isAll) break;
    }
    expect(heard.size).toBe(count);
  });
});
