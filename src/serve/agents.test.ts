/** Agents that call over real sockets, and a server that is closed and opened again over the same store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectAgent, defineAgent } from '../agent/index.js';
import { type EngineConfig, parseConfig } from '../config/load.js';
import { until } from '../transport/attempt.suite.js';
import { type Serving, serve } from './serve.js';

const CONFIG = `
[engine]
store = "mem://"
agent_lease = 2
[[workflows]]
name = "build"
stages = [
  { name = "make", agents = ["maker"], compensation_agents = ["maker"] },
  { name = "test", agents = ["tester"], retry = { max_attempts = 1 } },
]
`;

const log = pino({ level: 'silent' });

async function open(config: EngineConfig, port = 0): Promise<Serving> {
  return serve(config, {
    address: { host: '127.0.0.1', port },
    log,
    version: '0.0.0',
    isInsecure: false,
    env: {},
  });
}

async function opened(text = CONFIG): Promise<Serving> {
  const serving = await open(parseConfig(text, { file: '/nowhere/workflows.toml' }, {}));
  onTestFinished(() => serving.close(0));
  return serving;
}

type Json = Record<string, unknown>;

async function ask(
  { url }: { url: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: Json }> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Json };
}

async function start(serving: Serving, input: unknown = {}): Promise<string> {
  const { json } = await ask(serving, 'POST', '/instances', { workflow: 'build', input });
  return String(json.workflow_id);
}

async function rest(serving: Serving, id: string): Promise<Json> {
  const { json } = await ask(serving, 'GET', `/instances/${id}/rest?wait=20`);
  return json.instance as Json;
}

async function eventsOf(serving: Serving, id: string): Promise<string[]> {
  const { json } = await ask(serving, 'GET', `/instances/${id}/events?limit=500`);
  return (json.events as { type: string }[]).map(({ type }) => type);
}

const tester = (fails = false) =>
  defineAgent({
    name: 'tester',
    roles: ['tester'],
    execute: async (_task, ctx) => {
      if (fails) throw new Error('red');
      return { output: await ctx.artifacts.text('made') };
    },
  });

describe('an agent over the network', () => {
  it('gets tasks and earlier artifacts, keeps steps, and hands in results small and large', async () => {
    const serving = await opened();
    const large = 'x'.repeat(100_000);
    const maker = await connectAgent(
      defineAgent({
        name: 'maker',
        roles: ['maker'],
        execute: async (task, ctx) => {
          ctx.progress('half', 0.5);
          const id = await ctx.step('reserve', () => 7);
          return {
            artifacts: [
              { name: 'made', kind: 'code', content: `for ${JSON.stringify(task.input)} by ${id}` },
              { name: 'large', kind: 'code', content: large },
              { name: 'bytes', kind: 'code', content: new Uint8Array([0, 255, 1]) },
            ],
          };
        },
      }),
      { url: serving.url, drainOnSignal: false },
    );
    const other = await connectAgent(tester(), { url: serving.url, drainOnSignal: false });
    const id = await start(serving, { version: 1 });
    const instance = await rest(serving, id);
    expect(instance.state).toBe('completed');
    const stages = instance.stages as { tasks: { output: unknown; artifacts: { size: number }[] }[] }[];
    expect(stages[1]?.tasks[0]?.output).toBe('for {"version":1} by 7');
    expect(stages[0]?.tasks[0]?.artifacts.map(({ size }) => size)).toEqual([22, 100_000, 3]);
    expect(await eventsOf(serving, id)).toContain('step_completed');
    await Promise.all([maker.drain(), other.drain()]);
    const { json } = await ask(serving, 'GET', '/agents');
    expect(json.agents).toEqual([]);
  });

  it('takes back what it made when a later stage fails', async () => {
    const serving = await opened();
    const undone: string[] = [];
    const maker = await connectAgent(
      defineAgent({
        name: 'maker',
        roles: ['maker'],
        execute: () => ({ artifacts: [{ name: 'made', kind: 'code', content: 'it' }] }),
        compensate: async (_task, ctx) => {
          undone.push(await ctx.artifacts.text('made'));
        },
      }),
      { url: serving.url, drainOnSignal: false },
    );
    const other = await connectAgent(tester(true), { url: serving.url, drainOnSignal: false });
    const instance = await rest(serving, await start(serving));
    expect(instance.state).toBe('failed');
    expect(instance.error).toEqual({ code: 'agent_failed', message: 'agent `tester` failed: red' });
    expect(undone).toEqual(['it']);
    await Promise.all([maker.close(), other.close()]);
  });

  it('is aborted at once when its instance is cancelled', async () => {
    const serving = await opened();
    let isAborted = false;
    let isStarted = false;
    const maker = await connectAgent(
      defineAgent({
        name: 'maker',
        roles: ['maker'],
        execute: (_task, { signal }) => {
          isStarted = true;
          return new Promise<undefined>((resolve) =>
            signal.addEventListener('abort', () => {
              isAborted = true;
              resolve(undefined);
            }),
          );
        },
      }),
      { url: serving.url, drainOnSignal: false },
    );
    const id = await start(serving);
    await until(() => isStarted);
    await ask(serving, 'POST', `/instances/${id}/cancel`, {});
    expect((await rest(serving, id)).state).toBe('cancelled');
    expect(isAborted).toBe(true);
    await maker.close();
  });

  it('goes on with its task when the server is opened again, and the result counts', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'vapora-agents-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const text = CONFIG.replace('mem://', 'surrealkv://store').replace('agent_lease = 2', 'agent_lease = 20');
    const config = parseConfig(text, { file: join(directory, 'workflows.toml') }, {});
    const first = await open(config);
    const port = Number(new URL(first.url).port);
    let runs = 0;
    let finish: () => void = () => {};
    const maker = await connectAgent(
      defineAgent({
        name: 'maker',
        roles: ['maker'],
        execute: async (_task, ctx) => {
          runs += 1;
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
          await ctx.step('late', () => 1);
          return { artifacts: [{ name: 'made', kind: 'code', content: 'once' }] };
        },
      }),
      { url: first.url, drainOnSignal: false },
    );
    const other = await connectAgent(tester(), { url: first.url, drainOnSignal: false });
    const id = await start(first);
    await until(() => runs === 1);
    await first.close(10_000);
    const second = await open(config, port);
    onTestFinished(() => second.close(0));
    finish();
    expect((await rest(second, id)).state).toBe('completed');
    expect(runs).toBe(1);
    expect(await eventsOf(second, id)).not.toContain('task_interrupted');
    await Promise.all([maker.close(), other.close()]);
  }, 60_000);

  it('that leaves in the middle is waited for until it acts no longer, and the task goes to another', async () => {
    const serving = await opened();
    const said: string[] = [];
    const maker = (name: string) =>
      defineAgent({
        name,
        roles: ['maker'],
        execute: async (_task, { signal }) => {
          said.push(`${name} begins`);
          if (name === 'second') return undefined;
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          await new Promise((resolve) => setTimeout(resolve, 200));
          said.push(`${name} has stopped`);
          throw new Error('given up');
        },
      });
    const first = await connectAgent(maker('first'), { url: serving.url, drainOnSignal: false });
    const id = await start(serving);
    await until(() => said.length > 0);
    const second = await connectAgent(maker('second'), { url: serving.url, drainOnSignal: false });
    await first.close();
    await until(() => said.length === 3);
    expect(said).toEqual(['first begins', 'first has stopped', 'second begins']);
    expect(await eventsOf(serving, id)).not.toContain('task_failed');
    await ask(serving, 'POST', `/instances/${id}/cancel`, {});
    await second.close();
  });

  it('is aborted when its lease is over and the server can not be reached, and says so', async () => {
    const serving = await opened();
    const troubles: string[] = [];
    let why: unknown = null;
    let said = false;
    const maker = await connectAgent(
      defineAgent({
        name: 'maker',
        roles: ['maker'],
        execute: (_task, { signal }) =>
          new Promise<undefined>((resolve) => {
            said = true;
            signal.addEventListener('abort', () => {
              why = signal.reason;
              resolve(undefined);
            });
          }),
      }),
      { url: serving.url, drainOnSignal: false, onTrouble: ({ code }) => troubles.push(code) },
    );
    await start(serving);
    await until(() => said);
    await serving.close(0);
    await until(() => why !== null);
    expect(why).toMatchObject({ code: 'lease_lost' });
    expect(troubles).toContain('server_unreachable');
    await maker.close();
  });

  it('ends with what the server refuses it for', async () => {
    const serving = await opened();
    const agent = defineAgent({ name: 'maker', roles: ['maker'], execute: () => undefined });
    const wrong = connectAgent(agent, { url: `${serving.url}/elsewhere`, drainOnSignal: false });
    await expect(wrong).rejects.toMatchObject({ code: 'resource_unknown' });
    await expect(connectAgent(agent, { url: 'ftp://x' })).rejects.toMatchObject({ code: 'config_invalid' });
  });
});
