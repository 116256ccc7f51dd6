/** What an operator sees of a real server while an instance fails and is taken back: metrics, traces and the log. */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { VAPORA } from './cli-pipeline.js';
import { getJson, makeProject, startServer, until } from './server.js';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly status: { readonly code: number };
}

/** Takes spans as OTLP/HTTP sends them, in JSON. */
async function openCollector(): Promise<{ url: string; spans: Span[]; service: Set<string> }> {
  const spans: Span[] = [];
  const service = new Set<string>();
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
      for (const { key, value } of resource.attributes)
        if (key === 'service.name') service.add(value.stringValue);
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, service };
}

function show(directory: string): unknown {
  const argv = [VAPORA, 'show', 'i1', '--json'];
  return JSON.parse(execFileSync(process.execPath, argv, { cwd: directory, encoding: 'utf8' }));
}

it('a rollback shows in the metrics, as a trace over a kill, and in the log', {
  timeout: 60_000,
}, async () => {
  const collector = await openCollector();
  const directory = makeProject(`
[[workflows]]
name = "bad"
stages = [
  { name = "a", agents = ["ok"], compensation_agents = ["undo"] },
  { name = "gate", agents = ["ok"], approval_required = true },
  { name = "b", agents = ["fail"] },
]
`);
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    VAPORA_LOG: 'info',
  };
  const post = (url: string, body: object) =>
    fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const stateOf = async (url: string) => (await getJson(`${url}/api/v1/instances/i1`)).state;

  const first = await startServer(directory, env);
  expect((await post(`${first.url}/api/v1/instances`, { workflow: 'bad', id: 'i1' })).status).toBe(201);
  await until(
    () => stateOf(first.url),
    (state) => state === 'waiting_approval',
  );
  const waiting = await (await fetch(`${first.url}/metrics`)).text();
  expect(waiting).toContain('vapora_instances{workflow="bad",state="waiting_approval"} 1');
  await until(
    async () => collector.spans,
    (spans) => spans.some(({ name }) => name === 'stage a'),
  );
  await first.end('SIGKILL');

  const second = await startServer(directory, env);
  // what there was before the first commit of this process is counted
  const again = await (await fetch(`${second.url}/metrics`)).text();
  expect(again).toContain('vapora_instances{workflow="bad",state="waiting_approval"} 1');
  await post(`${second.url}/api/v1/instances/i1/stages/gate/approve`, {});
  await until(
    () => stateOf(second.url),
    (state) => state === 'failed',
  );
  const scraped = await fetch(`${second.url}/metrics`);
  expect(scraped.headers.get('content-type')).toContain('text/plain');
  const text = await scraped.text();
  for (const line of [
    'vapora_instances{workflow="bad",state="compensating"} 0',
    'vapora_instances_ended_total{workflow="bad",state="failed"} 1',
    'vapora_compensations_compensated_total{workflow="bad"} 1',
    'vapora_inconsistent_seconds_count{workflow="bad"} 1',
    'vapora_dead_letters_open 0',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
  expect(await second.end()).toBe(0);

  // one trace, over both processes
  const byName = (name: string) => collector.spans.filter((span) => span.name === name);
  const [root] = byName('workflow bad');
  expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([root?.traceId]));
  const names = collector.spans.map(({ name }) => name).sort();
  const expected = [
    'compensation a',
    'stage a',
    'stage b',
    'stage gate',
    'task fail',
    'task ok',
    'task ok',
    'undo undo',
    'workflow bad',
  ];
  expect(names).toEqual(expected);
  const parentOf = (name: string) => byName(name)[0]?.parentSpanId;
  expect(parentOf('workflow bad') ?? '').toBe('');
  for (const name of ['stage a', 'stage b', 'stage gate', 'compensation a'])
    expect(parentOf(name)).toBe(root?.spanId);
  expect(parentOf('task fail')).toBe(byName('stage b')[0]?.spanId);
  expect(parentOf('undo undo')).toBe(byName('compensation a')[0]?.spanId);
  // 2 is an error, 1 is none
  expect([root, byName('stage a')[0]].map((span) => span?.status.code)).toEqual([2, 1]);
  expect([...collector.service]).toEqual(['vapora']);

  // the agent was told its span
  const { stages } = show(directory) as { stages: { tasks: { output: { traceparent: string } }[] }[] };
  const given = stages[0]?.tasks[0]?.output.traceparent;
  const task = byName('task ok').find(({ parentSpanId }) => parentSpanId === byName('stage a')[0]?.spanId);
  expect(given).toBe(`00-${root?.traceId}-${task?.spanId}-01`);
  const logged = second
    .log()
    .split('\n')
    .filter((line) => line.includes('"instance":"i1"'));
  expect(logged.map((line) => JSON.parse(line).msg)).toContain('stage_compensated');
});
