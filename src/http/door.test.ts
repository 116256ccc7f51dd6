import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openHttpRig } from './rig.suite.js';

describe('a server without authentication', () => {
  it.each([
    [{ origin: 'https://evil.example' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ host: 'rebound.example:8420' }],
    [{ origin: 'null' }],
  ])('turns away what a page of another site sends: %j', async (headers) => {
    const { ask } = await openHttpRig();
    const answer = await ask('POST', '/api/v1/instances', { body: { workflow: 'good' }, headers });
    expect([answer.status, answer.json.code]).toEqual([403, 'unauthorized']);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect((await ask('GET', '/health', { headers })).status).toBe(200);
  });

  it('takes its own pages and callers that are no browser', async () => {
    const { ask } = await openHttpRig();
    const own = { origin: 'http://127.0.0.1:8420', host: '127.0.0.1:8420', 'sec-fetch-site': 'same-origin' };
    expect((await ask('GET', '/api/v1/templates', { headers: own })).status).toBe(200);
    expect((await ask('GET', '/api/v1/templates')).status).toBe(200);
  });
});

describe('bad input', () => {
  const start = '/api/v1/instances';
  const raw = (payload: string, type = 'application/json') => ({
    body: payload,
    headers: { 'content-type': type },
  });

  it.each([
    ['no JSON', raw('{"workflow":'), 400, 'input_invalid'],
    ['a key twice', raw('{"workflow":"good","workflow":"bad"}'), 400, 'input_invalid'],
    [
      'too deep',
      raw(`{"workflow":"good","input":${'['.repeat(200)}${']'.repeat(200)}}`),
      400,
      'input_invalid',
    ],
    ['a form', raw('workflow=good', 'application/x-www-form-urlencoded'), 400, 'input_invalid'],
    ['plain text', raw('{"workflow":"good"}', 'text/plain'), 400, 'input_invalid'],
    ['no body', {}, 400, 'input_invalid'],
    ['a wrong type', { body: { workflow: 7 } }, 400, 'input_invalid'],
    ['an unknown workflow', { body: { workflow: 'nope' } }, 404, 'workflow_unknown'],
    ['too large', { body: { workflow: 'good', input: 'x'.repeat(3_000_000) } }, 413, 'input_too_large'],
    ['an id that is none', { body: { workflow: 'good', id: 'a/b' } }, 400, 'name_invalid'],
    ['a lone surrogate', raw('{"workflow":"good","input":"\\ud800"}'), 400, 'input_invalid'],
    [
      'a key for repeating that is too long',
      { body: { workflow: 'good' }, headers: { 'idempotency-key': 'x'.repeat(300) } },
      400,
      'input_invalid',
    ],
    [
      'a name that is not encoded',
      { body: { workflow: 'good' }, headers: { 'vapora-user': '%zz' } },
      400,
      'input_invalid',
    ],
  ])('such as %s is a problem with its code, and nothing more', async (_, asked, status, code) => {
    const { ask } = await openHttpRig();
    const answer = await ask('POST', start, asked);
    expect([answer.status, answer.json.code, answer.json.status]).toEqual([status, code, status]);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json.type).toBe(`/errors/${code}`);
    expect(answer.text).not.toMatch(/\bat .*\.(js|ts):\d+/);
    const page = await ask('GET', String(answer.json.type));
    expect(page.text).toContain(`### \`${code}\``);
  });

  it.each([
    ['/api/v1/instances/nope', 404, 'instance_unknown'],
    ['/api/v1/instances/%00', 404, 'instance_unknown'],
    ['/api/v1/instances?limit=0', 400, 'input_invalid'],
    ['/api/v1/instances?cursor=x', 400, 'input_invalid'],
    ['/api/v1/nothing', 404, 'resource_unknown'],
    ['/errors/nothing', 404, 'resource_unknown'],
    [`/api/v1/instances/${'x'.repeat(2_000)}`, 400, 'input_invalid'],
  ])('%s is %i', async (path, status, code) => {
    const { ask } = await openHttpRig();
    const answer = await ask('GET', path);
    expect([answer.status, answer.json.code]).toEqual([status, code]);
  });
});

describe('limits', () => {
  it('of requests are answered with 429 and when to come again', async () => {
    const { ask } = await openHttpRig({ limits: { requestsPerMinute: 3 } });
    const answers = [];
    // other names are no way around: nobody has checked them
    for (const as of ['a', 'b', 'c', 'd']) answers.push(await ask('GET', '/api/v1/templates', { as }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers[3]?.json.code).toBe('rate_limited');
    expect(Number(answers[3]?.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('of requests under way are answered with 503', async () => {
    const rig = await openHttpRig({ limits: { maxConcurrent: 1 } });
    await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'slow', id: 's' } });
    const waiting = rig.ask('GET', '/api/v1/instances/s/rest?wait=2');
    const refused = await rig.ask('GET', '/api/v1/templates');
    expect([refused.status, refused.json.code, refused.headers['retry-after']]).toEqual([
      503,
      'engine_overloaded',
      '1',
    ]);
    expect((await rig.ask('GET', '/health')).status).toBe(200);
    expect((await waiting).json.is_resting).toBe(false);
    expect((await rig.ask('GET', '/api/v1/templates')).status).toBe(200);
  });

  it('of time end a request whose headers never come', async () => {
    const rig = await openHttpRig({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 } });
    const url = new URL(await rig.listen());
    const socket = connect(Number(url.port), url.hostname);
    socket.write('GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
    const text = await new Promise<string>((resolve) => {
      let heard = '';
      socket.on('data', (chunk) => {
        heard += String(chunk);
      });
      socket.on('close', () => resolve(heard));
      socket.on('error', () => undefined);
    });
    expect(text).toMatch(/^(HTTP\/1\.1 408 |$)/);
    expect((await fetch(`${url.origin}/health`)).status).toBe(200);
  });
});
