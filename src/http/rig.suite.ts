/** A server over a real engine whose store is in memory, for tests. */
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { openEngine } from '../compose.js';
import { parseConfig } from '../config/load.js';
import type { WorkflowApi } from '../core/api.js';
import type { RecordedDecision } from '../core/decision-log.js';
import type { Clock } from '../core/ports.js';
import { systemClock } from '../engine/clock.js';
import { contextOf } from '../serve/context.js';
import type { App, ServerContext } from './context.js';
import type { EventHub } from './event-hub.js';
import { createServer, DEFAULT_SERVER_LIMITS, DESCRIPTION_PAGE, type ServerLimits } from './server.js';
import type { Tokens } from './tokens.js';

const CONFIG = `
[engine]
store = "mem://"
[[workflows]]
name = "far"
stages = [{ name = "only", agents = ["far"], retry = { initial_ms = 0 } }]
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
name = "slow"
stages = [{ name = "a", agents = ["slow"] }]
[[workflows]]
name = "gate"
stages = [
  { name = "a", agents = ["ok"], compensation_agents = ["undo"] },
  { name = "b", agents = ["ok"], approval_required = true },
]
`;

const AGENTS = [
  defineAgent({
    name: 'worker',
    roles: ['ok', 'undo'],
    execute: ({ stage_name }) => ({
      artifacts: [{ name: 'note', kind: 'documentation', content: `made by ${stage_name}` }],
    }),
    compensate: () => ({}),
  }),
  defineAgent({
    name: 'sleeper',
    roles: ['slow'],
    execute: (_, { signal }) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve());
      }),
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

export interface RigOptions {
  /** More of the configuration, as TOML. */
  readonly config?: string;
  readonly policies?: string;
  readonly limits?: Partial<ServerLimits>;
  readonly agentLeaseMs?: number;
  /** Of the server, not of the engine. Default: the real one. */
  readonly clock?: Clock;
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
  readonly tokens: Tokens;
  readonly authorizer: ServerContext['authorizer'];
  /** All that were recorded, oldest first. */
  decisions(): Promise<readonly RecordedDecision[]>;
  /** What Prometheus would get, asked past the server. */
  metrics(): Promise<string>;
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
  const engineClock = systemClock();
  const clock = options.clock ?? engineClock;
  const config = parseConfig(`${options.config ?? ''}\n${CONFIG}`, { file: '/nowhere/workflows.toml' }, {});
  const policies = options.policies ?? null;
  const lease = options.agentLeaseMs === undefined ? {} : { agentLeaseMs: options.agentLeaseMs };
  const engine = await openEngine(
    { ...config, engine: { ...config.engine, cedarPolicyDir: policies, ...lease } },
    {
      logger: log,
      clock: engineClock,
      agents: AGENTS,
      recordsDecisions: true,
      metrics: true,
      remoteAgents: true,
    },
  );
  const state = { isClosing: false, isRecovered: true, lastReload: null };
  const context = await contextOf(config, engine, { clock, version: '0.0.0', state, isInsecure: false });
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
    tokens: context.tokens,
    authorizer: context.authorizer,
    decisions: async () => {
      await context.decisions.flush();
      const found: RecordedDecision[] = [];
      for await (const some of context.decisions.book.decisions(0)) found.push(...some);
      return found;
    },
    metrics: async () => (await engine.metrics?.text()) ?? '',
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
      // the page that shows the description is not in it
      if (method === '' || method === 'HEAD' || path.join('').startsWith(DESCRIPTION_PAGE)) continue;
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
