/** What takes its time to answer, and what becomes of it when the caller's token or the policies change meanwhile. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Notice } from '../core/api.js';
import { systemClock } from '../engine/clock.js';
import { TestClock } from '../testing/test-clock.js';
import { HttpWorkflowClient } from './client.js';
import { type HttpRig, openHttpRig } from './rig.suite.js';

const ISSUER = 'https://id.example';
const HEARTBEAT_MS = 15_000;
const MINUTE_MS = 60_000;
const TEST = { user: 'test', groups: [] };
const ENGINE = '@id("engine") permit (principal is Orchestrator, action, resource);';
const AGENTS = '@id("agents") permit (principal is Agent, action, resource);';
const PEOPLE = '@id("people") permit (principal is User, action, resource);';

let clock: TestClock;
let policies: string;
let rig: HttpRig;
let url: string;
let sign: (lifetimeMs: number) => Promise<string>;

beforeEach(async () => {
  policies = await mkdtemp(join(tmpdir(), 'vapora-standing-'));
  onTestFinished(() => rm(policies, { recursive: true, force: true }));
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keys = join(policies, 'jwks.json');
  await writeFile(keys, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1' }] }));
  clock = new TestClock();
  sign = (lifetimeMs) =>
    new SignJWT({ sub: 'ann' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(ISSUER)
      .setAudience('vapora')
      .setExpirationTime((clock.now() + lifetimeMs) / 1_000)
      .sign(privateKey);
  await writeFile(join(policies, 'all.cedar'), ENGINE + AGENTS + PEOPLE);
  const config = `[server.auth]\nissuer = "${ISSUER}"\naudience = "vapora"\njwks = "${keys}"`;
  rig = await openHttpRig({ policies, config, clock });
  url = await rig.listen();
});

async function makeToken(kind: 'person' | 'agent', lifetimeMs: number | null = null) {
  const name = kind === 'agent' ? 'far-away' : 'ann';
  const { token, secret } = await rig.tokens.createToken(
    { kind, name, groups: [], roles: null, lifetimeMs },
    TEST,
  );
  return { id: token.id, secret };
}

async function putInForce(text: string): Promise<void> {
  await writeFile(join(policies, 'all.cedar'), text);
  if (!('reload' in rig.authorizer)) throw new Error('policies are in force');
  await rig.authorizer.reload();
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const ALL = '/api/v1/events/stream';
const ONE = '/api/v1/instances/g/events/stream';

/** A stream that is read as it comes. */
class Reading {
  text = '';
  readonly ended: Promise<void>;

  constructor(body: ReadableStream<Uint8Array>) {
    this.ended = this.#read(body);
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of body) this.text += Buffer.from(chunk).toString();
  }

  /** Resolves once `part` has come. */
  async until(part: string): Promise<void> {
    while (!this.text.includes(part)) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** The last message, where it says why there is no more. */
  get end(): { code?: string; status?: number; detail?: string } {
    const [, data = '{}'] = /event: error\ndata: (.*)\n\n$/.exec(this.text) ?? [];
    return JSON.parse(data);
  }
}

async function follow(path: string, secret: string): Promise<Reading> {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const answer = await fetch(`${url}${path}`, { headers: bearer(secret), signal: abort.signal });
  expect(answer.status).toBe(200);
  if (answer.body === null) throw new Error('a stream has a body');
  const reading = new Reading(answer.body);
  reading.ended.catch(() => undefined);
  await reading.until('retry:');
  return reading;
}

/** An instance that waits for an approval, so that something happens to it when a test says so. */
async function startGate(): Promise<void> {
  await rig.api.start({ workflow: 'gate', id: 'g', initiator: TEST });
  await rig.api.untilRest('g');
}

describe.each([
  ['of all instances', ALL],
  ['of one instance', ONE],
])('an event stream %s', (_, path) => {
  it('ends at once when its token is revoked, and says so; that of another token goes on', async () => {
    await startGate();
    const [revoked, kept] = [await makeToken('person'), await makeToken('person')];
    const [ending, lasting] = [await follow(path, revoked.secret), await follow(path, kept.secret)];
    await rig.tokens.revokeToken(revoked.id);
    await ending.ended;
    expect(ending.end).toMatchObject({
      code: 'unauthenticated',
      status: 401,
      detail: 'the token is revoked',
    });
    await rig.api.approve('g', 'b', TEST);
    await lasting.until('approval_given');
    expect(ending.text).not.toContain('approval_given');
  });

  it('ends when its token expires, and not with the heartbeat after it', async () => {
    await startGate();
    const { secret } = await makeToken('person', HEARTBEAT_MS + 1_000);
    const reading = await follow(path, secret);
    await clock.advance(HEARTBEAT_MS);
    await reading.until('still here');
    await clock.advance(1_000);
    await reading.ended;
    expect(reading.end).toMatchObject({
      code: 'unauthenticated',
      detail: expect.stringContaining('expired'),
    });
  });

  it('ends when the token of an issuer expires', async () => {
    await startGate();
    const reading = await follow(path, await sign(MINUTE_MS));
    await clock.advance(MINUTE_MS);
    await reading.until('still here');
    // an issuer's clock may be late
    await clock.advance(30_000);
    await reading.ended;
    expect(reading.end).toMatchObject({ code: 'unauthenticated', detail: 'the token has expired' });
  });

  it('tells nothing more that the policies in force do not permit', async () => {
    await startGate();
    const { secret } = await makeToken('person');
    const reading = await follow(path, secret);
    await putInForce(`${ENGINE}
      permit (principal is User, action == Action::"read-workflow", resource == Instance::"later");
      permit (principal is User, action in [Action::"cancel-workflow", Action::"start-workflow"], resource);`);
    await rig.api.cancel('g', TEST, { compensate: false });
    await rig.api.start({ workflow: 'good', id: 'later', initiator: TEST });
    if (path === ONE) {
      await reading.ended;
      expect(reading.end).toMatchObject({ code: 'unauthorized', status: 403 });
    } else await reading.until('"later"');
    expect(reading.text).not.toContain('cancel');
  });
});

describe('whoever follows by the client', () => {
  it('hears last why there is no more, and asks no more', async () => {
    await startGate();
    const { id, secret } = await makeToken('person');
    const own = new TestClock();
    const client = new HttpWorkflowClient({ url, clock: own, token: secret });
    const heard: Notice[] = [];
    let hasBegun: () => void = () => {};
    const began = new Promise<void>((resolve) => {
      hasBegun = resolve;
    });
    const ended = new Promise<Notice>((resolve) => {
      client.subscribe((notice) => {
        heard.push(notice);
        if (notice.kind === 'ended') resolve(notice);
        else hasBegun();
      }, 'g');
    });
    await began;
    await rig.tokens.revokeToken(id);
    expect(await ended).toMatchObject({
      error: { code: 'unauthenticated', message: 'the token is revoked' },
    });
    await own.advance(MINUTE_MS);
    expect([heard.filter(({ kind }) => kind === 'ended').length, own.pending]).toEqual([1, 0]);
  });

  it('hears so too where the stream is refused from the beginning', async () => {
    const client = new HttpWorkflowClient({ url, clock: systemClock(), token: 'vap_x' });
    const [notice] = await new Promise<Notice[]>((resolve) => client.subscribe((first) => resolve([first])));
    expect(notice).toMatchObject({ kind: 'ended', error: { code: 'unauthenticated' } });
  });
});

describe('a question that waits for an answer', () => {
  it('is not answered to a token that was revoked meanwhile', async () => {
    await rig.api.start({ workflow: 'slow', id: 's', initiator: TEST });
    const { id, secret } = await makeToken('person');
    const asking = rig.ask('GET', '/api/v1/instances/s/rest?wait=20', { headers: bearer(secret) });
    while (clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await rig.tokens.revokeToken(id);
    await clock.advance(20_000);
    expect(await asking).toMatchObject({ status: 401, json: { detail: 'the token is revoked' } });
  });

  it('is not answered where the policies in force do not permit it any more', async () => {
    await rig.api.start({ workflow: 'slow', id: 's', initiator: TEST });
    const { secret } = await makeToken('person');
    const asking = rig.ask('GET', '/api/v1/instances/s/rest?wait=20', { headers: bearer(secret) });
    while (clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await putInForce(ENGINE);
    await clock.advance(20_000);
    expect(await asking).toMatchObject({ status: 403, json: { code: 'unauthorized' } });
  });
});

describe('an agent that waits for a task', () => {
  const register = async (secret: string): Promise<string> => {
    const body = { name: 'far-away', roles: ['far'] };
    const { json, status } = await rig.ask('POST', '/api/v1/agents', { body, headers: bearer(secret) });
    expect(status).toBe(201);
    return `/api/v1/agents/${json.session}/poll`;
  };

  it.each([
    ['was revoked', async (id: string) => void (await rig.tokens.revokeToken(id)), 'the token is revoked'],
    ['has expired', () => clock.advance(MINUTE_MS), expect.stringContaining('the token has expired')],
  ])('gets none once its token %s', async (_, end, detail) => {
    const { id, secret } = await makeToken('agent', MINUTE_MS);
    const path = await register(secret);
    const polling = rig.ask('POST', path, { body: { wait: 50 }, headers: bearer(secret) });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await end(id);
    const { id: instance } = await rig.api.start({ workflow: 'far', id: 'f', initiator: TEST });
    expect(await polling).toMatchObject({ status: 401, json: { code: 'unauthenticated', detail } });
    // it is there for whoever may have it
    const other = await makeToken('agent');
    const got = await rig.ask('POST', path, { body: { wait: 5 }, headers: bearer(other.secret) });
    expect(got.json.tasks).toMatchObject([{ workflow_id: instance, attempt: 1 }]);
  });
});
