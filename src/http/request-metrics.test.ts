import { expect, it } from 'vitest';
import { type HttpRig, openHttpRig } from './rig.suite.js';

/** Value of a series of the metrics page, 0 where there is none. */
async function seriesValue({ metrics }: HttpRig, series: string): Promise<number> {
  const text = await metrics();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

const UNDER_WAY = 'vapora_http_requests_in_flight';
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
const requests = (method: string, route: string, status: string): string =>
  `vapora_http_requests_total{method="${method}",route="${route}",status="${status}"}`;

it('counts requests by the route that was declared, whatever is in their paths', async () => {
  const rig = await openHttpRig();
  await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'good', id: 'one' } });
  for (const id of ['one', 'two', 'three']) await rig.ask('GET', `/api/v1/instances/${id}`);
  expect(await seriesValue(rig, requests('POST', '/api/v1/instances', '2xx'))).toBe(1);
  expect(await seriesValue(rig, requests('GET', '/api/v1/instances/:id', '2xx'))).toBe(1);
  expect(await seriesValue(rig, requests('GET', '/api/v1/instances/:id', '4xx'))).toBe(2);
  expect(await seriesValue(rig, 'vapora_http_problems_total{code="instance_unknown"}')).toBe(2);
  const count = 'vapora_http_request_duration_seconds_count{method="GET",route="/api/v1/instances/:id"}';
  expect(await seriesValue(rig, count)).toBe(3);
  await rig.ask('DELETE', '/not/there');
  await rig.ask('GET', '/nor/here');
  expect(await seriesValue(rig, requests('any', 'none', '4xx'))).toBe(2);
  expect(await rig.metrics()).not.toContain('two');
});

it('counts what is under way, and what its caller gave up', async () => {
  const rig = await openHttpRig();
  const url = await rig.listen();
  await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'slow', id: 'slow' } });
  expect(await seriesValue(rig, UNDER_WAY)).toBe(0);
  const leaving = new AbortController();
  const left = fetch(`${url}/api/v1/instances/slow/rest?wait=60`, { signal: leaving.signal }).catch(
    () => 'left',
  );
  while ((await seriesValue(rig, UNDER_WAY)) !== 1) await pause();
  leaving.abort();
  expect(await left).toBe('left');
  while ((await seriesValue(rig, UNDER_WAY)) !== 0) await pause();
  expect(await seriesValue(rig, requests('GET', '/api/v1/instances/:id/rest', 'none'))).toBe(1);
});

it('counts what a limit turns away', async () => {
  const rig = await openHttpRig({ limits: { requestsPerMinute: 3 } });
  for (let n = 0; n < 5; n += 1) await rig.ask('GET', '/api/v1/templates', { as: 'greedy' });
  expect(await rig.metrics()).toContain('vapora_http_problems_total{code="rate_limited"} 2');
});
