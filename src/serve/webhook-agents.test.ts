/** Agents that are called, by real requests, and that answer now or later. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, createServer as createSocket } from 'node:net';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sign, verifySigned } from '../auth/signature.js';
import { parseConfig } from '../config/load.js';
import { serve } from './serve.js';

const SECRET = 'whsec_c2VjcmV0IG9mIHRoZSB0ZXN0';
type Json = Record<string, unknown>;

interface Called {
  readonly headers: IncomingHttpHeaders;
  readonly raw: Buffer;
  readonly task: Json;
}

type Reply = readonly [status: number, body?: unknown];

async function freePort(): Promise<number> {
  const socket = createSocket();
  await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve));
  const { port } = socket.address() as AddressInfo;
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/** An agent that answers each call as it is told. */
async function agent(answer: (called: Called, number: number) => Reply | Promise<Reply>) {
  const calls: Called[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const raw = Buffer.concat(parts);
    const called = { headers: request.headers, raw, task: JSON.parse(raw.toString()) as Json };
    calls.push(called);
    const [status, body] = await answer(called, calls.length);
    response.writeHead(status, { location: 'http://127.0.0.1:1/' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/run`, calls };
}

async function engine(
  url: string,
  { later = true, env = { HOOK_SECRET: SECRET } as NodeJS.ProcessEnv, more = '' } = {},
) {
  const port = await freePort();
  const text = `
[engine]
store = "mem://"
agent_lease = 1
[engine.outbound]
hosts = ["127.0.0.1"]
networks = ["127.0.0.0/8"]
[server]
${later ? `public_url = "http://127.0.0.1:${port}"` : ''}
[[workflows]]
name = "w"
stages = [{ name = "only", agents = ["far"], retry = { max_attempts = 2, initial_ms = 0 }, compensation_agents = ["far"] }${more}]
[[agents]]
name = "hook"
roles = ["far"]
url = "${url}"
secret_env = "HOOK_SECRET"
timeout = 30
`;
  const config = parseConfig(text, { file: '/nowhere/workflows.toml' }, {});
  const serving = await serve(config, {
    address: { host: '127.0.0.1', port },
    log: pino({ level: 'silent' }),
    version: '0.0.0',
    isInsecure: false,
    env,
  });
  onTestFinished(() => serving.close(0));
  const ask = async (path: string, body?: Json): Promise<Json> => {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
    const answer = await fetch(`${serving.url}/api/v1${path}`, body === undefined ? {} : init);
    return (await answer.json()) as Json;
  };
  const { workflow_id } = await ask('/instances', { workflow: 'w', input: { n: 1 } });
  const rest = async () => (await ask(`/instances/${workflow_id}/rest?wait=20`)).instance as Json;
  return { ask, rest, id: String(workflow_id) };
}

/** Answers later, as an agent does. */
async function callBack(url: unknown, body: Json, secret = SECRET): Promise<readonly [number, Json]> {
  const raw = Buffer.from(JSON.stringify(body));
  const answer = await fetch(String(url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...sign(secret, 'answer-1', Date.now(), raw) },
    body: raw,
  });
  return [answer.status, (await answer.json()) as Json];
}

describe('an agent that is called', () => {
  it('gets the task, signed, and answers at once', async () => {
    const artifacts = [{ name: 'made', kind: 'code', content: { by: 'hook' } }];
    const { url, calls } = await agent(() => [200, { artifacts, output: 7, log: 'done' }]);
    const { rest, id } = await engine(url);
    expect(await rest()).toMatchObject({
      state: 'completed',
      stages: [{ tasks: [{ output: 7, artifacts: [{ name: 'made', size: 13 }] }] }],
    });
    const [called] = calls;
    expect(called?.task).toMatchObject({ type: 'task', workflow_id: id, input: { n: 1 }, attempt: 1 });
    expect(called?.headers['idempotency-key']).toBe(`${id}/only/far/execute`);
    const body = called?.raw ?? Buffer.alloc(0);
    const time = { now: Date.now(), toleranceMs: 60_000 };
    const delivery = verifySigned(SECRET, called?.headers ?? {}, body, time);
    expect(delivery).toBe(`${id}/only/far/execute%231`.replace('%23', '#'));
    expect(() => verifySigned('another secret', called?.headers ?? {}, body, time)).toThrow();
  });

  it.each([
    ['nothing at all is a success', [[204]], 'completed', 1, null],
    ['503 may pass', [[503], [204]], 'completed', 2, null],
    ['429 may pass', [[429], [204]], 'completed', 2, null],
    ['400 will not', [[400, 'bad']], 'failed', 1, 'task_failed'],
    ['a redirect is not followed', [[302]], 'failed', 1, 'task_failed'],
    ['what is no result fails for good', [[200, { artefacts: [] }]], 'failed', 1, 'agent_protocol'],
    ['503 for ever', [[503], [503]], 'failed', 2, 'agent_failed'],
  ] as const)('%s', async (_, replies, state, attempts, code) => {
    const { url, calls } = await agent((_called, number) => replies[number - 1] ?? [500]);
    const { rest } = await engine(url);
    const instance = await rest();
    expect(instance.state).toBe(state);
    expect(calls).toHaveLength(attempts);
    expect((instance.error as Json | null)?.code ?? null).toBe(code);
  });

  it('answers later, and is known by its signature; the same again is the same, and another one is refused', async () => {
    let later: unknown = null;
    const { url } = await agent(({ task }) => {
      later = task.callback_url;
      return [202];
    });
    const { rest, ask, id } = await engine(url);
    await expect.poll(() => later).not.toBe(null);
    expect(await callBack(later, { status: 'working', message: 'half', fraction: 0.5 })).toEqual([200, {}]);
    const result = { status: 'completed', output: 'late' };
    const [forged, { code }] = await callBack(later, result, 'another secret');
    expect([forged, code]).toEqual([401, 'signature_invalid']);
    expect((await callBack(later, { status: 'unheard-of' }))[0]).toBe(400);
    expect(await callBack(later, result)).toEqual([200, {}]);
    expect((await ask(`/instances/${id}`)).state).toBe('completed');
    expect(await callBack(later, result)).toEqual([200, {}]);
    const [status, other] = await callBack(later, { status: 'completed', output: 'other' });
    expect([status, other.code]).toEqual([409, 'lease_lost']);
    expect(await rest()).toMatchObject({ stages: [{ tasks: [{ output: 'late' }] }] });
  });

  it('is told that nobody waits once its instance is cancelled', async () => {
    let later: unknown = null;
    const { url } = await agent(({ task }) => {
      later ??= task.callback_url;
      return [202];
    });
    const { rest, ask, id } = await engine(url);
    await expect.poll(() => later).not.toBe(null);
    await ask(`/instances/${id}/cancel`, { compensate: false });
    expect((await rest()).state).toBe('cancelled');
    const [status, { code }] = await callBack(later, { status: 'working' });
    expect([status, code]).toEqual([409, 'lease_lost']);
  });

  it('is left out where its secret is not set, and what needs it waits', async () => {
    const { url, calls } = await agent(() => [204]);
    const { rest } = await engine(url, { env: {} });
    expect(await rest()).toMatchObject({ state: 'blocked', stages: [{ block: { code: 'role_unserved' } }] });
    expect(calls).toEqual([]);
  });

  it('fetches what does not come with the task, as long as its attempt lasts', async () => {
    const large = 'x'.repeat(100_000);
    const bytes = Buffer.from([0xff, 0, 1]).toString('base64');
    const artifacts = [
      { name: 'large', kind: 'code', content: large },
      { name: 'bytes', kind: 'code', content_base64: bytes },
      { name: 'small', kind: 'code', content: 'y' },
    ];
    const fetched: [number, string][] = [];
    let urls: unknown[] = [];
    const get = async (url: unknown): Promise<[number, string]> => {
      const answer = await fetch(String(url));
      return [answer.status, Buffer.from(await answer.arrayBuffer()).toString('base64')];
    };
    const { url, calls } = await agent(async ({ task }) => {
      if (task.stage_name === 'only') return [200, { artifacts }];
      urls = (task.artifacts as Json[]).map(({ content_url }) => content_url);
      for (const each of urls.slice(0, 2)) fetched.push(await get(each));
      const [status] = await get(String(urls[0]).replace(/[0-9a-f]{64}$/, '0'.repeat(64)));
      return [200, { output: status }];
    });
    const { rest } = await engine(url, { more: ', { name = "next", agents = ["far"] }' });
    expect(await rest()).toMatchObject({ state: 'completed', stages: [{}, { tasks: [{ output: 404 }] }] });
    expect(fetched).toEqual([
      [200, Buffer.from(large).toString('base64')],
      [200, bytes],
    ]);
    const named = (calls[1]?.task.artifacts ?? []) as Json[];
    expect(named.map((each) => 'content' in each)).toEqual([false, false, true]);
    expect(named.map((each) => 'content_url' in each)).toEqual([true, true, false]);
    // the attempt is over
    expect((await get(urls[0]))[0]).toBe(409);
  });

  it('has nowhere to fetch from where nobody has said how to reach the server', async () => {
    const artifacts = [{ name: 'large', kind: 'code', content: 'x'.repeat(100_000) }];
    const { url, calls } = await agent(({ task }) =>
      task.stage_name === 'only' ? [200, { artifacts }] : [422],
    );
    const { rest } = await engine(url, { later: false, more: ', { name = "next", agents = ["far"] }' });
    expect((await rest()).error).toMatchObject({ code: 'task_failed' });
    expect(calls[1]?.task.artifacts).toMatchObject([{ name: 'large', content_url: null }]);
  });

  it('can not answer later where nobody has said how to reach the server', async () => {
    const { url, calls } = await agent(() => [202]);
    const { rest } = await engine(url, { later: false });
    expect((await rest()).error).toMatchObject({ code: 'agent_protocol' });
    expect(calls[0]?.task.callback_url).toBe(null);
  });
});
