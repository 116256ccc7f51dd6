import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { openEngine } from '../compose.js';
import { defineWorkflow } from '../config/define.js';
import { parseConfig } from '../config/load.js';
import { TestClock } from '../testing/test-clock.js';
import { createLogger } from './logger.js';
import { isTracingAsked } from './tracing.js';

afterEach(() => vi.unstubAllEnvs());

async function openCollector(answer: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const ok = defineAgent({ name: 'ok', roles: ['ok'], execute: () => ({}) });
const quick = defineWorkflow({ name: 'quick', stages: [{ name: 'a', agents: ['ok'] }] });

async function openTraced(url: string) {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '10');
  const lines: string[] = [];
  const clock = new TestClock();
  const engine = await openEngine(
    parseConfig('[engine]\nstore = "mem://"', { file: '/nowhere/workflows.toml' }, {}),
    {
      agents: [ok],
      workflows: [quick],
      clock,
      logger: createLogger('info', { write: (line) => lines.push(line) }),
    },
  );
  const run = async (): Promise<void> => {
    const { id } = await engine.api.start({ workflow: 'quick', initiator: { user: 'ann', groups: [] } });
    await engine.api.untilRest(id);
  };
  const said = () => lines.map((line) => JSON.parse(line).msg).filter((msg) => /^traces/.test(msg));
  return { engine, clock, run, said };
}

describe('tracing', () => {
  it('is off unless an endpoint is named, and where it is turned off', () => {
    expect(isTracingAsked({})).toBe(false);
    expect(isTracingAsked({ OTEL_EXPORTER_OTLP_ENDPOINT: '' })).toBe(false);
    const named = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
    expect(isTracingAsked(named)).toBe(true);
    expect(isTracingAsked({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318' })).toBe(true);
    expect(isTracingAsked({ ...named, OTEL_SDK_DISABLED: 'true' })).toBe(false);
    expect(isTracingAsked({ ...named, OTEL_TRACES_EXPORTER: 'none' })).toBe(false);
  });

  it('says once that a collector refuses spans, and when it takes them again', async () => {
    const codes = [400, 400, 200];
    let asked = 0;
    const url = await openCollector((_, response) => {
      asked += 1;
      response.writeHead(codes.shift() ?? 200, { 'content-type': 'application/json' }).end('{}');
    });
    const { engine, run, said } = await openTraced(url);
    for (let round = 1; round <= 3; round += 1) {
      await run();
      await vi.waitFor(() => expect(asked).toBeGreaterThanOrEqual(round), { timeout: 10_000 });
    }
    await engine.close();
    expect(said()).toEqual(['traces can not be sent', 'traces are sent again']);
  });

  it('does not keep an engine from stopping, where a collector never answers', async () => {
    const { engine, clock, run } = await openTraced(await openCollector(() => undefined));
    await run();
    let isClosed = false;
    const closing = engine.close().then(() => {
      isClosed = true;
    });
    while (!isClosed) await clock.advance(100);
    await closing;
  });
});
