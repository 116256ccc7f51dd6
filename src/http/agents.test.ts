/** The protocol of agents, call by call. */
import { describe, expect, it } from 'vitest';
import { AllowAllAuthorizer } from '../auth/allow-all.js';
import { AskedAuthorizer } from '../auth/asked.js';
import { NO_OBSERVER } from '../observe/observers.js';
import { until } from '../transport/attempt.suite.js';
import { Guard } from './guard.js';
import type { Identity } from './identity.js';
import { type Answer, type HttpRig, openHttpRig } from './rig.suite.js';

/** `far` is a workflow of the rig whose only stage has the role `far`. */
async function registered(rig: HttpRig, more: object = {}): Promise<string> {
  const { json, status } = await rig.ask('POST', '/api/v1/agents', {
    body: { name: 'far-away', roles: ['far'], ...more },
  });
  expect(status).toBe(201);
  return String(json.session);
}

async function start(rig: HttpRig): Promise<string> {
  const { json } = await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'far', input: { n: 1 } } });
  return String(json.workflow_id);
}

interface Got {
  readonly lease: string;
  readonly task_id: string;
  readonly attempt: number;
  readonly input: unknown;
}

async function poll(
  rig: HttpRig,
  session: string,
  more: object = {},
): Promise<{ tasks: Got[]; stop: string[] }> {
  const { json } = await rig.ask('POST', `/api/v1/agents/${session}/poll`, { body: { wait: 5, ...more } });
  return json as unknown as { tasks: Got[]; stop: string[] };
}

async function task(rig: HttpRig, session: string): Promise<Got> {
  const [got] = (await poll(rig, session)).tasks;
  if (got === undefined) throw new Error('there is no task');
  return got;
}

const say = (rig: HttpRig, lease: string, word: string, body: object = {}): Promise<Answer> =>
  rig.ask('POST', `/api/v1/tasks/${lease}/${word}`, { body });

async function eventsOf(rig: HttpRig, id: string): Promise<string[]> {
  const { json } = await rig.ask('GET', `/api/v1/instances/${id}/events`);
  return (json.events as { type: string }[]).map(({ type }) => type);
}

async function stateOf(rig: HttpRig, id: string): Promise<unknown> {
  return (await rig.ask('GET', `/api/v1/instances/${id}/rest?wait=10`)).json.instance;
}

describe('a registration', () => {
  it('is refused where the name is taken, here or elsewhere', async () => {
    const rig = await openHttpRig();
    await registered(rig);
    for (const name of ['far-away', 'worker']) {
      const answer = await rig.ask('POST', '/api/v1/agents', { body: { name, roles: ['far'] } });
      expect([answer.status, answer.json.code]).toEqual([409, 'agent_exists']);
    }
  });

  it('is among the agents, with what it does and when it was last heard of', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig, { version: '1.2', capacity: 2 });
    await start(rig);
    await task(rig, session);
    const { json } = await rig.ask('GET', '/api/v1/agents');
    const agents = json.agents as { name: string }[];
    expect(agents.map(({ name }) => name)).toEqual(['breaker', 'far-away', 'sleeper', 'worker']);
    expect(agents[1]).toEqual({
      name: 'far-away',
      roles: ['far'],
      capacity: 2,
      in_flight: 1,
      success_rate: 0.5,
      score: 0.5 / 1.5,
      is_remote: true,
      version: '1.2',
      seen_at: expect.stringMatching(/^\d{4}-/),
    });
  });

  it('is spoken for by whoever made it', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const poll = await rig.ask('POST', `/api/v1/agents/${session}/poll`, { body: {}, as: 'mallory' });
    expect([poll.status, poll.json.code]).toEqual([403, 'unauthorized']);
    const leave = await rig.ask('DELETE', `/api/v1/agents/${session}`, { as: 'mallory' });
    expect(leave.status).toBe(403);
  });

  it('is forgotten when the agent leaves, and what it had goes to another', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    const first = await task(rig, session);
    const other = await registered(rig, { name: 'other' });
    expect((await rig.ask('DELETE', `/api/v1/agents/${session}`)).status).toBe(200);
    const second = await task(rig, other);
    expect([first.task_id, second.task_id]).toEqual([1, 2].map((n) => `${id}/only/far/execute#${n}`));
    const gone = await rig.ask('POST', `/api/v1/agents/${session}/poll`, { body: { wait: 0 } });
    expect([gone.status, gone.json.code]).toEqual([404, 'agent_unknown']);
  });

  it('takes no more tasks once it drains, and finishes what it has', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig, { capacity: 2 });
    const id = await start(rig);
    const { lease } = await task(rig, session);
    expect((await rig.ask('POST', `/api/v1/agents/${session}/drain`)).status).toBe(200);
    await start(rig);
    expect(await poll(rig, session, { wait: 0 })).toEqual({ tasks: [], stop: [] });
    expect((await say(rig, lease, 'complete')).status).toBe(200);
    expect(await stateOf(rig, id)).toMatchObject({ state: 'completed' });
  });

  it('answers an open poll as soon as there is a task', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const polling = poll(rig, session, { wait: 30 });
    await start(rig);
    expect((await polling).tasks).toHaveLength(1);
  });

  it('is the same again where its answer was lost, and what is held goes on', async () => {
    const rig = await openHttpRig();
    const body = { name: 'far-away', roles: ['far'], capacity: 2 };
    const register = (key: string, more: object = {}, as?: string) =>
      rig.ask('POST', '/api/v1/agents', {
        body: { ...body, ...more },
        headers: { 'idempotency-key': key },
        ...(as === undefined ? {} : { as }),
      });
    const first = await register('one');
    await start(rig);
    const { lease, task_id } = await task(rig, String(first.json.session));
    const again = await register('one', {
      holding: [
        { lease, task_id },
        { lease, task_id: `${task_id}1` },
      ],
    });
    expect(again.json).toEqual({ ...first.json, kept: [lease] });
    for (const other of [register('two'), register('one', {}, 'mallory')]) {
      expect((await other).json.code).toBe('agent_exists');
    }
  });

  it('is bound to the name and the roles of its token', () => {
    const guard = new Guard(new AskedAuthorizer(new AllowAllAuthorizer(), NO_OBSERVER, null));
    const agent: Identity = {
      expiresAt: null,
      by: 'token',
      kind: 'agent',
      principal: { user: 'deployer', groups: [] },
      roles: ['deploy'],
    };
    guard.checkRegister(agent, 'deployer', ['deploy']);
    guard.checkRegister(agent, 'deployer-2', ['deploy']);
    expect(() => guard.checkRegister(agent, 'deployers', ['deploy'])).toThrow('not for an agent `deployers`');
    expect(() => guard.checkRegister(agent, 'deployer', ['deploy', 'sign'])).toThrow('not for role `sign`');
    const person: Identity = { ...agent, kind: 'person', roles: null };
    expect(() => guard.checkRegister(person, 'deployer', ['deploy'])).toThrow('person');
  });
});

describe('a task', () => {
  it('is completed by its lease, on disk before the answer, and the same again is the same', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    const got = await task(rig, session);
    expect(got).toMatchObject({ attempt: 1, input: { n: 1 }, idempotency_key: `${id}/only/far/execute` });
    expect((await say(rig, got.lease, 'heartbeat')).json).toEqual({ stop: false, lease_seconds: 30 });
    expect((await say(rig, got.lease, 'steps', { name: 'a', value: [1] })).status).toBe(200);
    expect(await eventsOf(rig, id)).toContain('step_completed');
    const result = { artifacts: [{ name: 'n', kind: 'code', content: { a: 1 } }], output: 3, log: 'done' };
    expect((await say(rig, got.lease, 'complete', result)).status).toBe(200);
    expect(await stateOf(rig, id)).toMatchObject({ state: 'completed' });
    expect((await say(rig, got.lease, 'complete', result)).status).toBe(200);
    const other = await say(rig, got.lease, 'fail', { message: 'no' });
    expect([other.status, other.json.code]).toEqual([409, 'lease_lost']);
    expect((await say(rig, got.lease, 'heartbeat')).json.code).toBe('lease_lost');
    expect(await eventsOf(rig, id)).not.toContain('late_result_ignored');
  });

  it('has one result: another one under the same lease is refused, and so is anybody else', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    const { lease } = await task(rig, session);
    const mallory = { body: { output: 2 }, as: 'mallory' };
    const path = `/api/v1/tasks/${lease}/complete`;
    expect((await rig.ask('POST', path, mallory)).status).toBe(403);
    expect((await say(rig, lease, 'complete', { output: 1 })).status).toBe(200);
    const other = await say(rig, lease, 'complete', { output: 2 });
    expect([other.status, other.json.code]).toEqual([409, 'lease_lost']);
    expect((await rig.ask('POST', path, mallory)).status).toBe(403);
    expect(await stateOf(rig, id)).toMatchObject({ stages: [{ tasks: [{ output: 1 }] }] });
  });

  it('goes to another agent where the one that it was for does not ask for it', async () => {
    const rig = await openHttpRig({ agentLeaseMs: 1_000 });
    const idle = await registered(rig, { name: 'idle' });
    await start(rig);
    const other = await registered(rig);
    const got = async () => {
      await poll(rig, idle, { wait: 0, free: 0 });
      return (await poll(rig, other, { wait: 0.1 })).tasks[0]?.attempt;
    };
    await expect.poll(got, { timeout: 20_000 }).toBe(2);
  });

  it('takes content in before the result, bounded', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    const { lease } = await task(rig, session);
    const headers = { 'content-type': 'application/octet-stream' };
    const path = `/api/v1/tasks/${lease}/content`;
    const kept = await rig.ask('POST', path, { body: Buffer.alloc(5_000, 7), headers });
    expect(kept.status).toBe(201);
    const tooLarge = await rig.ask('POST', path, { body: Buffer.alloc(16 * 1024 * 1024 + 1), headers });
    expect(tooLarge.status).toBe(413);
    const artifacts = [{ name: 'big', kind: 'code', digest: kept.json.digest }];
    expect((await say(rig, lease, 'complete', { artifacts })).status).toBe(200);
    expect(await stateOf(rig, id)).toMatchObject({ stages: [{ tasks: [{ artifacts: [{ size: 5_000 }] }] }] });
  });

  it('fails for good where the result breaks the rules', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    const { lease } = await task(rig, session);
    const artifacts = [{ name: 'big', kind: 'code', digest: 'f'.repeat(64) }];
    const answer = await say(rig, lease, 'complete', { artifacts });
    expect([answer.status, answer.json.code]).toEqual([422, 'agent_protocol']);
    expect(await stateOf(rig, id)).toMatchObject({ state: 'failed', error: { code: 'agent_protocol' } });
  });

  it('comes again after a failure that may go away', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    await say(rig, (await task(rig, session)).lease, 'fail', { message: 'busy' });
    const second = await task(rig, session);
    expect(second.attempt).toBe(2);
    await say(rig, second.lease, 'fail', { message: 'never', retryable: false });
    expect(await stateOf(rig, id)).toMatchObject({
      state: 'failed',
      error: { code: 'task_failed', message: 'agent `far-away` failed: never' },
    });
  });

  it('is lost with its lease; what comes late is refused, recorded once, and never applied', async () => {
    const rig = await openHttpRig({ agentLeaseMs: 1_000 });
    const session = await registered(rig);
    const id = await start(rig);
    const first = await task(rig, session);
    const second = await (async () => {
      for (;;) {
        const [got] = (await poll(rig, session)).tasks;
        if (got !== undefined) return got;
      }
    })();
    expect([first.attempt, second.attempt]).toEqual([1, 2]);
    for (let times = 0; times < 2; times++) {
      const late = await say(rig, first.lease, 'complete', { output: 'late' });
      expect([late.status, late.json.code]).toEqual([409, 'lease_lost']);
    }
    expect((await say(rig, first.lease, 'steps', { name: 'a', value: 1 })).json.code).toBe('lease_lost');
    await say(rig, second.lease, 'complete', { output: 'in time' });
    const instance = await stateOf(rig, id);
    expect(instance).toMatchObject({ stages: [{ tasks: [{ output: 'in time', interruptions: 1 }] }] });
    const late = (await eventsOf(rig, id)).filter((type) => type === 'late_result_ignored');
    expect(late).toHaveLength(1);
  });

  it('is to stop once its instance is cancelled, and nothing is taken back before it has', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig, { capacity: 2 });
    const id = await start(rig);
    const { lease } = await task(rig, session);
    const polling = poll(rig, session, { wait: 30, free: 0 });
    await rig.ask('POST', `/api/v1/instances/${id}/cancel`, { body: {} });
    expect((await polling).stop).toEqual([lease]);
    expect((await say(rig, lease, 'heartbeat')).json.stop).toBe(true);
    expect((await say(rig, lease, 'fail', { message: 'stopped' })).status).toBe(200);
    await until(async () => (await eventsOf(rig, id)).includes('workflow_cancelled'));
    expect(await eventsOf(rig, id)).not.toContain('late_result_ignored');
  });

  it('of another agent is not spoken of in its history by whoever only says that it was theirs', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    const { lease, task_id } = await task(rig, session);
    await say(rig, lease, 'fail', { message: 'busy' });
    await registered(rig, { name: 'other', holding: [{ task_id, lease: 'made-up-lease' }] });
    expect((await say(rig, 'made-up-lease', 'complete')).json.code).toBe('lease_lost');
    const second = await task(rig, session);
    await say(rig, second.lease, 'complete');
    await stateOf(rig, id);
    expect(await eventsOf(rig, id)).not.toContain('late_result_ignored');
  });

  it('that is completed is said to be once more to its agent, by a process that did not hear of it', async () => {
    const rig = await openHttpRig();
    const session = await registered(rig);
    const id = await start(rig);
    const { lease, task_id } = await task(rig, session);
    await say(rig, lease, 'complete', { output: 'done' });
    await rig.ask('DELETE', `/api/v1/agents/${session}`);
    // as after a restart: of the lease nobody here has given out there is the agent's word alone
    const kept = await rig.ask('POST', '/api/v1/agents', {
      body: {
        name: 'far-away',
        roles: ['far'],
        holding: ['first-lease', 'second-lease'].map((from) => ({ task_id, lease: from })),
      },
    });
    expect(kept.json.kept).toEqual([]);
    for (let times = 0; times < 2; times++)
      expect((await say(rig, 'first-lease', 'complete', { output: 'done' })).status).toBe(200);
    expect((await say(rig, 'second-lease', 'fail', { message: 'no' })).json.code).toBe('lease_lost');
    await registered(rig, { name: 'other', holding: [{ task_id, lease: 'third-lease' }] });
    expect((await say(rig, 'third-lease', 'complete', { output: 'done' })).json.code).toBe('lease_lost');
    await until(async () => (await eventsOf(rig, id)).includes('workflow_completed'));
    expect(await stateOf(rig, id)).toMatchObject({
      state: 'completed',
      stages: [{ tasks: [{ output: 'done' }] }],
    });
    // an instance that has ended records nothing more
    expect(await eventsOf(rig, id)).not.toContain('late_result_ignored');
  });

  it('of a lease that was never given out asks for a registration', async () => {
    const rig = await openHttpRig();
    await registered(rig);
    const answer = await say(rig, 'never-given-out', 'heartbeat');
    expect([answer.status, answer.json.code]).toEqual([404, 'agent_unknown']);
    const claim = await rig.ask('POST', '/api/v1/agents', {
      body: {
        name: 'b',
        roles: ['far'],
        holding: [{ task_id: 'no/such/task/execute#1', lease: 'some-lease' }],
      },
    });
    expect(claim.json.kept).toEqual([]);
    expect((await say(rig, 'some-lease', 'heartbeat')).json.code).toBe('lease_lost');
  });
});
