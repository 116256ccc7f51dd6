import { expect, it } from 'vitest';
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
