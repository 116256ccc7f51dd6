import { expect, it } from 'vitest';
import { systemClock } from '../engine/clock.js';
import { HttpWorkflowClient } from './client.js';
import { openHttpRig } from './rig.suite.js';

it('starts an instance once, however often the same start is asked for', async () => {
  const { ask } = await openHttpRig();
  const start = { body: { workflow: 'good', input: { n: 1 } }, headers: { 'idempotency-key': 'one' } };
  const first = await ask('POST', '/api/v1/instances', start);
  expect(first.status).toBe(201);
  expect(first.json.is_new).toBe(true);
  expect(first.headers.location).toBe(`/api/v1/instances/${first.json.workflow_id}`);
  const second = await ask('POST', '/api/v1/instances', start);
  expect(second.json).toEqual({ workflow_id: first.json.workflow_id, is_new: false });
  const other = await ask('POST', '/api/v1/instances', { ...start, as: 'somebody-else' });
  expect(other.json.is_new).toBe(true);
  const changed = await ask('POST', '/api/v1/instances', { ...start, body: { workflow: 'bad' } });
  expect([changed.status, changed.json.code]).toEqual([409, 'instance_exists']);
});

it('lists by who started it and when, over the client too', async () => {
  const { ask, api, listen } = await openHttpRig();
  for (const [as, id] of [
    ['ann', 'a1'],
    ['bob', 'b1'],
  ] as const) {
    await ask('POST', '/api/v1/instances', { body: { workflow: 'gate', id }, as });
  }
  const client = new HttpWorkflowClient({ url: await listen(), clock: systemClock() });
  const ids = async (query: object): Promise<string[]> =>
    (await client.list({ limit: 10, ...query })).items.map((item) => item.id).sort();
  const first = (await api.get('a1')).createdAt;
  const last = (await api.get('b1')).createdAt;
  expect(await ids({ initiator: 'ann' })).toEqual(['a1']);
  expect(await ids({ createdFrom: first, createdBefore: last + 1 })).toEqual(['a1', 'b1']);
  expect(await ids({ createdFrom: last + 1 })).toEqual([]);
  expect(await ids({ createdBefore: first })).toEqual([]);
  const odd = await ask('GET', '/api/v1/instances?created_from=yesterday');
  expect([odd.status, odd.json.code]).toEqual([400, 'input_invalid']);
});
