import { describe, expect, it } from 'vitest';
import type { Notice } from '../core/api.js';
import { systemClock } from '../engine/clock.js';
import { HttpWorkflowClient } from './client.js';
import { parsePosition, positionText } from './event-hub.js';
import { openHttpRig } from './rig.suite.js';

const TOM = { user: 'tom', groups: [] };

/** Frames of a stream, until `count` with data have come. */
async function frames(url: string, count: number, lastId?: string): Promise<Record<string, string>[]> {
  const abort = new AbortController();
  const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
  const answer = await fetch(url, { signal: abort.signal, headers });
  expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const found: Record<string, string>[] = [];
  let text = '';
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk).toString();
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const fields = part.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]);
      const frame = Object.fromEntries(fields);
      if (frame.data !== undefined && frame.event === undefined) found.push(frame);
    }
    if (found.length >= count) break;
  }
  abort.abort();
  return found.slice(0, count);
}

const seqsOf = (found: Record<string, string>[]) =>
  found.map(({ data }) => {
    const { workflow_id, seq } = JSON.parse(data ?? '{}');
    return `${workflow_id}:${seq}`;
  });

describe('the stream of an instance', () => {
  it('begins with its history, goes on with what happens, and is resumed behind the last event', async () => {
    const rig = await openHttpRig();
    const url = await rig.listen();
    const client = new HttpWorkflowClient({ url, clock: systemClock() });
    await client.start({ workflow: 'gate', id: 'g', initiator: TOM });
    const { seq: before } = await client.untilRest('g');
    const path = `${url}/api/v1/instances/g/events/stream`;
    const followed = frames(path, before + 5);
    await client.approve('g', 'b', TOM);
    const all = await followed;
    expect(all.map(({ id }) => Number(id))).toEqual(all.map((_, index) => index + 1));
    const resumed = await frames(path, 2, String(before));
    expect(resumed[0]).toEqual(all[before]);
    expect((await fetch(path, { headers: { 'last-event-id': 'x' } })).status).toBe(400);
  });
});

describe('the stream of all instances', () => {
  it('goes on exactly where it was cut off, while the events are kept', async () => {
    const rig = await openHttpRig();
    const url = `${await rig.listen()}/api/v1/events/stream`;
    const whole = frames(url, 12);
    const other = frames(url, 1_000);
    await rig.streaming(2);
    await rig.api.start({ workflow: 'good', id: 'a', initiator: TOM });
    await rig.api.untilRest('a');
    await rig.api.start({ workflow: 'good', id: 'b', initiator: TOM });
    const seen = await whole;
    await rig.api.untilRest('b');
    // the other one still follows, so events are kept
    expect(seqsOf(await frames(url, 7, seen[4]?.id))).toEqual(seqsOf(seen).slice(5, 12));
    rig.cutStreams();
    await other.catch(() => undefined);
  });

  it('after a restart sends again what may not have been heard, in order for each instance', async () => {
    const rig = await openHttpRig();
    const url = await rig.listen();
    await rig.api.start({ workflow: 'good', id: 'a', initiator: TOM });
    const { seq, createdAt } = await rig.api.untilRest('a');
    const earlier = positionText({ epoch: 'an-earlier-process', n: 4_711, at: createdAt });
    const replayed = await frames(`${url}/api/v1/events/stream`, seq, earlier);
    expect(seqsOf(replayed)).toEqual(Array.from({ length: seq }, (_, index) => `a:${index + 1}`));
    await rig.streaming(0);
    const late = positionText({ epoch: 'an-earlier-process', n: 4_711, at: createdAt + 3_600_000 });
    const fresh = frames(`${url}/api/v1/events/stream`, 1, late);
    await rig.streaming(1);
    await rig.api.start({ workflow: 'good', id: 'b', initiator: TOM });
    expect(seqsOf(await fresh)).toEqual(['b:1']);
  });

  it('is heard by the client without a gap and without doubles, through a break of the connection', async () => {
    const rig = await openHttpRig();
    const url = await rig.listen();
    const client = new HttpWorkflowClient({ url, clock: systemClock() });
    const heard: string[] = [];
    const subscribed = client.subscribe((notice: Notice) => {
      if (notice.kind === 'event') heard.push(`${notice.event.workflow_id}:${notice.event.seq}`);
    });
    await rig.streaming(1);
    await client.start({ workflow: 'good', id: 'a', initiator: TOM });
    await client.untilRest('a');
    rig.cutStreams();
    await client.start({ workflow: 'good', id: 'b', initiator: TOM });
    const { seq } = await client.untilRest('b');
    while (!heard.includes(`b:${seq}`)) await new Promise((resolve) => setTimeout(resolve, 20));
    subscribed();
    for (const id of ['a', 'b']) {
      const own = heard.filter((text) => text.startsWith(`${id}:`));
      expect(own).toEqual(Array.from({ length: seq }, (_, index) => `${id}:${index + 1}`));
    }
  });
});

describe('a position', () => {
  it('is read as it was written, and nothing else is one', () => {
    const position = { epoch: '0192-ab', n: 12, at: 1_700_000_000_000 };
    expect(parsePosition(positionText(position))).toEqual(position);
    for (const text of ['', '1', '1-2', '1-2-', 'a-2-x', '1-2-x y', `1-${'9'.repeat(20)}-x`]) {
      expect(parsePosition(text)).toBeNull();
    }
  });
});
