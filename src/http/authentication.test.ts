import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiToken, TokenBook } from '../core/identities.js';
import { systemClock } from '../engine/clock.js';
import { openHttpRig } from './rig.suite.js';
import { Tokens } from './tokens.js';

const POLICIES = `
@id("engine") permit (principal is Orchestrator, action, resource);
@id("ops-may-all") permit (principal in Group::"ops", action, resource);
@id("anybody-starts") permit (principal, action == Action::"start-workflow", resource);
@id("own") permit (principal, action == Action::"read-workflow", resource) when { context.initiator == principal };
@id("agents") permit (principal is Agent, action == Action::"register-agent", resource) unless { context.agents.contains("test") };
@id("mallory-never") forbid (principal == User::"mallory", action, resource);
`;
const ISSUER = 'https://id.example';

let directory: string;
let sign: (
  claims: Record<string, unknown>,
  more?: { audience?: string; expires?: string | null },
) => Promise<string>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vapora-auth-'));
  await writeFile(join(directory, 'all.cedar'), POLICIES);
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
  await writeFile(join(directory, 'jwks.json'), JSON.stringify({ keys: [jwk] }));
  sign = (claims, { audience = 'vapora', expires = '5m' } = {}) => {
    const token = new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(ISSUER)
      .setAudience(audience);
    return (expires === null ? token : token.setExpirationTime(expires)).sign(privateKey);
  };
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const openRig = () =>
  openHttpRig({
    policies: directory,
    config: `[server.auth]\nissuer = "${ISSUER}"\naudience = "vapora"\njwks = "${join(directory, 'jwks.json')}"\nuser_claim = "email"`,
  });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('an API token', () => {
  it('says who calls, is shown once, and lets nobody in once it is revoked or has expired', async () => {
    const rig = await openRig();
    const root = await rig.tokens.createToken(
      { kind: 'person', name: 'root', groups: ['ops'], roles: null, lifetimeMs: null },
      { user: 'test', groups: [] },
    );
    const asked = {
      body: { name: 'ann', groups: ['dev'], expires_in_days: 1 },
      headers: bearer(root.secret),
    };
    const made = await rig.ask('POST', '/api/v1/tokens', asked);
    expect(made.status, made.text).toBe(201);
    const token = String(made.json.token);
    const headers = bearer(token);
    const started = await rig.ask('POST', '/api/v1/instances', {
      body: { workflow: 'good', id: 'anns' },
      headers,
    });
    expect(started.status).toBe(201);
    const shown = await rig.ask('GET', '/api/v1/instances/anns', { headers });
    expect(shown.json.initiator).toEqual({ user: 'ann', groups: ['dev'] });
    const denied = await rig.ask('GET', '/api/v1/tokens', { headers });
    expect([denied.status, denied.json.detail]).toEqual([
      403,
      '`manage-tokens` is denied: no permit matched',
    ]);
    const listed = await rig.ask('GET', '/api/v1/tokens', { headers: bearer(root.secret) });
    expect(listed.text).not.toContain(token);
    expect(listed.text).not.toContain('hash');
    const revoked = await rig.ask('POST', `/api/v1/tokens/${made.json.id}/revoke`, {
      headers: bearer(root.secret),
    });
    expect(revoked.status).toBe(200);
    const after = await rig.ask('GET', '/api/v1/instances/anns', { headers });
    expect([after.status, after.json.detail, after.headers['www-authenticate']]).toEqual([
      401,
      'the token is revoked',
      'Bearer',
    ]);
    const brief = await rig.tokens.createToken(
      { kind: 'person', name: 'bob', groups: [], roles: null, lifetimeMs: 1 },
      { user: 'test', groups: [] },
    );
    await new Promise((resolve) => setTimeout(resolve, 10));
    const late = await rig.ask('GET', '/api/v1/instances', { headers: bearer(brief.secret) });
    expect([late.status, late.json.code]).toEqual([401, 'unauthenticated']);
  });

  it('of an agent is for its name and its roles, where policies let it in; of a person for none', async () => {
    const rig = await openRig();
    const make = async (kind: 'agent' | 'person', name: string, roles: string[] | null) => {
      const request = { kind, name, groups: [], roles, lifetimeMs: null };
      return bearer((await rig.tokens.createToken(request, { user: 'test', groups: [] })).secret);
    };
    const headers = await make('agent', 'builder', ['build', 'test']);
    const register = async (body: object, as = headers) => {
      const { status, json } = await rig.ask('POST', '/api/v1/agents', { body, headers: as });
      return [status, json.code ?? null];
    };
    expect(await register({ name: 'builder-1', roles: ['build'] })).toEqual([201, null]);
    expect(await register({ name: 'builder-1', roles: ['sign'] })).toEqual([403, 'unauthorized']);
    expect(await register({ name: 'other', roles: ['build'] })).toEqual([403, 'unauthorized']);
    // by policy
    expect(await register({ name: 'builder-2', roles: ['build', 'test'] })).toEqual([403, 'unauthorized']);
    const person = await make('person', 'ann', null);
    expect(await register({ name: 'ann', roles: ['build'] }, person)).toEqual([403, 'unauthorized']);
    await expect(make('agent', 'builder-1', null)).rejects.toMatchObject({ code: 'input_invalid' });
    await expect(make('agent', 'build', null)).resolves.toBeDefined();
  });

  it.each([
    ['none', {}],
    ['a claimed name', { 'vapora-user': 'root' }],
    ['an unknown one', bearer(`vap_${'0'.repeat(16)}_${'x'.repeat(43)}`)],
    ['a malformed one', bearer('vap_x')],
    ['another scheme', { authorization: 'Basic cm9vdDpyb290' }],
    ['a token of none', bearer('eyJhbGciOiJub25lIn0.eyJlbWFpbCI6InJvb3QifQ.')],
  ])('is asked for: %s is 401, on every path that is not open', async (_, headers) => {
    const rig = await openRig();
    for (const path of ['/api/v1/instances', '/api/v1/policies', '/api/v1/events/stream', '/api/v1/tokens']) {
      expect((await rig.ask('GET', path, { headers })).status).toBe(401);
    }
    expect((await rig.ask('GET', '/health', { headers })).json.authentication).toBe('on');
  });
});

describe('an API token that is asked for twice', () => {
  const asked = { kind: 'agent', name: 'builder' };
  const ask = (rig: Awaited<ReturnType<typeof openHttpRig>>, body: object, key: string) =>
    rig.ask('POST', '/api/v1/tokens', { body, headers: { 'idempotency-key': key } });

  it('is made once, and answered again', async () => {
    const rig = await openHttpRig();
    const [first, second] = await Promise.all([ask(rig, asked, 'k1'), ask(rig, asked, 'k1')]);
    const third = await ask(rig, asked, 'k1');
    expect(first.status).toBe(201);
    expect([second.json, third.json]).toEqual([first.json, first.json]);
    expect((await rig.tokens.listTokens()).length).toBe(1);
    expect((await ask(rig, { ...asked, name: 'tester' }, 'k1')).json.code).toBe('token_exists');
    expect((await ask(rig, { ...asked, name: 'tester' }, 'k2')).status).toBe(201);
  });

  it('is not made a second time where its secret is no longer known', async () => {
    const kept: ApiToken[] = [];
    const book: TokenBook = {
      tokens: async () => kept,
      saveToken: async (token) => {
        kept.push(token);
      },
    };
    const request = { kind: 'agent', name: 'builder', groups: [], roles: null, lifetimeMs: null } as const;
    const by = { user: 'ann', groups: [] };
    const { token } = await (await Tokens.open(book, systemClock())).createToken(request, by, 'k1');
    // as after a restart
    const making = (await Tokens.open(book, systemClock())).createToken(request, by, 'k1');
    await expect(making).rejects.toMatchObject({
      code: 'token_exists',
      hint: expect.stringContaining(token.id),
    });
    expect(kept).toHaveLength(1);
  });

  it('that was refused can be asked for again', async () => {
    const rig = await openHttpRig();
    const first = await ask(rig, { ...asked, name: 'builder-1' }, 'k1');
    expect((await ask(rig, asked, 'k2')).status).toBe(400);
    expect((await rig.ask('POST', `/api/v1/tokens/${first.json.id}/revoke`, {})).status).toBe(200);
    expect((await ask(rig, asked, 'k2')).status).toBe(201);
  });
});

describe('a token of the issuer', () => {
  it('names the person and their groups by the configured claims', async () => {
    const rig = await openRig();
    const ops = bearer(await sign({ email: 'olga@x', groups: ['ops'] }));
    expect((await rig.ask('GET', '/api/v1/policies', { headers: ops })).status).toBe(200);
    const dev = bearer(await sign({ email: 'dave@x', groups: 'dev' }));
    expect((await rig.ask('GET', '/api/v1/policies', { headers: dev })).status).toBe(403);
  });

  it('is refused for another audience, without an end, past its end, or without a name', async () => {
    const rig = await openRig();
    const tokens = [
      await sign({ email: 'a@x' }, { audience: 'other' }),
      await sign({ email: 'a@x' }, { expires: null }),
      await sign({ email: 'a@x' }, { expires: '1 hour ago' }),
      await sign({ sub: 'a@x' }),
    ];
    for (const token of tokens) {
      const answer = await rig.ask('GET', '/api/v1/instances', { headers: bearer(token) });
      expect([answer.status, answer.json.code]).toEqual([401, 'unauthenticated']);
    }
  });
});

describe('what the policies say to callers', () => {
  it('hides instances that one may not read, in lists too', async () => {
    const rig = await openRig();
    const ann = bearer(await sign({ email: 'ann' }));
    const bob = bearer(await sign({ email: 'bob' }));
    for (const id of ['a1', 'a2']) {
      await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'good', id }, headers: ann });
    }
    await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'good', id: 'b1' }, headers: bob });
    const listed = await rig.ask('GET', '/api/v1/instances?limit=1', { headers: bob });
    expect((listed.json.instances as { workflow_id: string }[]).map((item) => item.workflow_id)).toEqual([
      'b1',
    ]);
    expect((await rig.ask('GET', '/api/v1/instances/a1', { headers: bob })).status).toBe(403);
    expect((await rig.ask('GET', '/api/v1/instances/a1/events', { headers: bob })).status).toBe(403);
    expect((await rig.ask('GET', '/api/v1/instances/a1', { headers: ann })).status).toBe(200);
  });

  it('names the policy that forbids, is recorded, and can be compared with other policies', async () => {
    const rig = await openRig();
    const mallory = bearer(await sign({ email: 'mallory', groups: ['ops'] }));
    const refused = await rig.ask('POST', '/api/v1/instances', {
      body: { workflow: 'good' },
      headers: mallory,
    });
    expect([refused.status, refused.json.detail]).toEqual([
      403,
      '`start-workflow` of `good` is denied: forbidden by `mallory-never`',
    ]);
    const olga = bearer(await sign({ email: 'olga', groups: ['ops'] }));
    await rig.ask('GET', '/api/v1/policies', { headers: olga });
    const candidate = POLICIES.replace('@id("mallory-never") forbid', '@id("olga-never") forbid').replace(
      '"mallory"',
      '"olga"',
    );
    const asked = { files: [{ name: 'all.cedar', text: candidate }], since: new Date(0).toISOString() };
    const compared = await rig.ask('POST', '/api/v1/policies/what-if', { body: asked, headers: olga });
    expect(compared.status, compared.text).toBe(200);
    const flips = compared.json.flips as {
      request: { principal: { id: string } };
      was: { effect: string };
    }[];
    expect(flips.map(({ request, was }) => [request.principal.id, was.effect])).toEqual(
      expect.arrayContaining([
        ['mallory', 'deny'],
        ['olga', 'allow'],
      ]),
    );
    expect(compared.json.newly_allowed).toBe(1);
    const bad = { ...asked, files: [{ name: 'all.cedar', text: 'permit (' }] };
    const broken = await rig.ask('POST', '/api/v1/policies/what-if', { body: bad, headers: olga });
    expect([broken.status, broken.json.code]).toEqual([422, 'policy_invalid']);
  });
});
