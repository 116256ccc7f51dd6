/** A server over a real engine whose store is in memory, for tests. */
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { openEngine } from '../compose.js';
import { parseConfig } from '../config/load.js';
import type { WorkflowApi } from '../core/api.js';
import { systemClock } from '../engine/clock.js';
import { contextOf } from '../serve/context.js';
import type { App } from './context.js';
import type { EventHub } from './event-hub.js';
import { createServer, DEFAULT_SERVER_LIMITS, type ServerLimits } from './server.js';

const CONFIG = `
[engine]
store = "mem://"
[[workflows]]
name = "good"
stages = [{ name = "a", agents = ["ok"], compensation_agents = ["undo"] }, { name = "b", agents = ["ok"] }]
[[workflows]]
name = "bad"
stages = [
  { name = "a", agents = ["ok"], compensation_agents = ["fail"], compensation_retry = { max_attempts = 1 } },
  { name = "b", agents = ["fail"], retry = { max_attempts = 1 } },
]
[[workflows]]
name = "gate"
stages = [
  { name = "a", agents = ["ok"], compensation_agents = ["undo"] },
  { name = "b", agents = ["ok"], approval_required = true },
]
`;

export interface RigOptions {
  readonly policies?: string;
  readonly limits?: Partial<ServerLimits>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
  /** Of a JSON answer. */
  readonly json: Record<string, unknown>;
}

export interface HttpRig {
  readonly app: App;
  readonly api: WorkflowApi;
  readonly hub: EventHub;
  /** Really listens; answers the URL. */
  listen(): Promise<string>;
  /** Resolves once exactly so many follow all events. */
  streaming(count: number): Promise<void>;
  /** Breaks every connection. */
  cutStreams(): void;
  /** `METHOD /path/{parameter}` of everything that the server answers. */
  routes(): string[];
  ask(method: 'GET' | 'POST' | 'DELETE' | 'PUT', path: string, more?: Asked): Promise<Answer>;
}

export interface Asked {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** Who acts. */
  readonly as?: string;
}

export async function openHttpRig(options: RigOptions = {}): Promise<HttpRig> {
  const log = pino({ level: 'silent' });
  const clock = systemClock();
  const config = parseConfig(CONFIG, { file: '/nowhere/workflows.toml' }, {});
  const policies = options.policies ?? null;
  const agents = [
    defineAgent({
      name: 'worker',
      roles: ['ok', 'undo'],
      execute: ({ stage_name }) => ({
        artifacts: [{ name: 'note', kind: 'documentation', content: `made by ${stage_name}` }],
      }),
      compensate: () => ({}),
    }),
    defineAgent({
      name: 'breaker',
      roles: ['fail'],
      execute: () => {
        throw new Error('it broke');
      },
      compensate: () => {
        throw new Error('it broke');
      },
    }),
  ];
  const engine = await openEngine(
    { ...config, engine: { ...config.engine, cedarPolicyDir: policies } },
    { logger: log, clock, agents, metrics: true },
  );
  const state = { isClosing: false, isRecovered: true };
  const context = contextOf(config, engine, { clock, version: '0.0.0', state });
  const limits = { ...DEFAULT_SERVER_LIMITS, ...options.limits };
  const app = await createServer({ context, log, version: '0.0.0', limits });
  onTestFinished(async () => {
    await app.close();
    await engine.close();
  });
  const { hub } = context;
  const streaming = async (count: number): Promise<void> => {
    while (hub.followers !== count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return {
    app,
    api: engine.api,
    hub,
    listen: () => app.listen({ host: '127.0.0.1', port: 0 }),
    streaming,
    cutStreams: () => app.server.closeAllConnections(),
    routes: () => routesOf(app),
    ask: (method, path, more) => ask(app, method, path, more),
  };
}

/** Out of the router's own listing: a route that nobody declared would be in it too. */
function routesOf(app: App): string[] {
  const found: string[] = [];
  const path: string[] = [];
  for (const line of app.printRoutes({ commonPrefix: false }).split('\n')) {
    const [, indent = '', rest = ''] = /^((?:│ {3}| {4})*)[├└]── (.*)$/.exec(line) ?? [];
    if (rest === '') continue;
    const [, segment = '', methods = ''] = /^(.*?)(?: \(([A-Z, ]+)\))?$/.exec(rest) ?? [];
    path.length = indent.length / 4;
    path.push(segment);
    for (const method of methods.split(', ')) {
      if (method === '' || method === 'HEAD') continue;
      found.push(`${method} ${path.join('').replace(/:([a-z]+)/g, '{$1}')}`);
    }
  }
  return found;
}

async function ask(
  app: App,
  method: 'GET' | 'POST' | 'DELETE' | 'PUT',
  path: string,
  { body, headers = {}, as }: Asked = {},
): Promise<Answer> {
  const answer = await app.inject({
    method,
    url: path,
    headers: { ...(as === undefined ? {} : { 'vapora-user': as }), ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  });
  const isJson = String(answer.headers['content-type']).includes('json');
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.body,
    json: isJson ? JSON.parse(answer.body) : {},
  };
}
