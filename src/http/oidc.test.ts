/** Tokens of an issuer that is asked for its keys: what changes there, what is away, and what only looks like a token. */
import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { OidcVerifier } from './authentication.js';

const ISSUER = 'https://id.example';
/** How soon an issuer is asked for its keys again. */
const COOLDOWN_MS = 31_000;

interface Key {
  readonly kid: string;
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

let server: Server;
let verifier: OidcVerifier;
let published: Key[];
/** Of the answers with keys. */
let status: number;
let asked: number;

beforeEach(async () => {
  asked = 0;
  status = 200;
  published = [await keyOf('k1')];
  server = createServer(async (_request, response) => {
    asked += 1;
    const keys = published.map(async ({ kid, publicKey }) => ({ ...(await exportJWK(publicKey)), kid }));
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ keys: await Promise.all(keys) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const claims = { userClaim: 'sub', groupsClaim: 'groups' };
  const settings = { issuer: ISSUER, audience: 'vapora', jwks: { url }, ...claims };
  verifier = await OidcVerifier.open(settings, { now: () => Date.now() });
});
afterEach(() => {
  vi.useRealTimers();
  server.closeAllConnections();
  server.close();
});

async function keyOf(kid: string): Promise<Key> {
  return { kid, ...(await generateKeyPair('ES256')) };
}

const seconds = () => Math.floor(Date.now() / 1_000);

/** A token as the issuer makes them, but for what is given. */
function tokenBy({ kid, privateKey }: Key, more: Record<string, unknown> = {}): Promise<string> {
  const now = seconds();
  const claims = { iss: ISSUER, aud: 'vapora', sub: 'ann', iat: now, exp: now + 300, ...more };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);
}

async function wordOn(token: string): Promise<string> {
  return verifier.identify(token).then(
    ({ principal }) => principal.user,
    (error: { code: string }) => error.code,
  );
}

function first(): Key {
  const [key] = published;
  if (key === undefined) throw new Error('a key is published');
  return key;
}

it('are known by a new key once the issuer has published it, and no longer by one that it has taken back', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const old = first();
  expect(await wordOn(await tokenBy(old))).toBe('ann');
  const next = await keyOf('k2');
  // unknown keys don't have the issuer asked each time
  for (let times = 0; times < 5; times += 1)
    expect(await wordOn(await tokenBy(next))).toBe('unauthenticated');
  expect(asked).toBe(1);
  published = [next];
  vi.setSystemTime(Date.now() + COOLDOWN_MS);
  expect(await wordOn(await tokenBy(next))).toBe('ann');
  expect(await wordOn(await tokenBy(old))).toBe('unauthenticated');
  expect(asked).toBe(2);
});

it('may be as much ahead or behind as clocks differ, and no more', async () => {
  const now = seconds();
  const words = [{ exp: now - 20 }, { exp: now - 40 }, { nbf: now + 20 }, { nbf: now + 60 }].map(
    async (claims) => wordOn(await tokenBy(first(), claims)),
  );
  expect(await Promise.all(words)).toEqual(['ann', 'unauthenticated', 'ann', 'unauthenticated']);
});

it('are refused where they are for others, by others, or signed with nothing that is secret', async () => {
  const key = first();
  const json = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = json({ iss: ISSUER, aud: 'vapora', sub: 'ann', exp: seconds() + 300 });
  // the public key, which everybody knows, taken for a shared secret
  const hmac = `${json({ alg: 'HS256', kid: key.kid })}.${claims}`;
  const secret = await exportSPKI(key.publicKey);
  const forged = createHmac('sha256', secret).update(hmac).digest('base64url');
  const tokens = [
    await tokenBy(key, { aud: ['other', 'another'] }),
    await tokenBy(key, { aud: undefined }),
    await tokenBy(key, { iss: 'https://id.example.evil' }),
    await tokenBy({ ...(await keyOf('k1')), kid: 'k1' }),
    `${json({ alg: 'none' })}.${claims}.`,
    `${hmac}.${forged}`,
    `${json({ alg: 'RS256', kid: key.kid })}.${claims}.${forged}`,
    'no.token.at-all',
    `${await tokenBy(key)}x`,
  ];
  for (const token of tokens) expect(await wordOn(token), token).toBe('unauthenticated');
  expect(await wordOn(await tokenBy(key, { aud: ['other', 'vapora'] }))).toBe('ann');
});

it('are neither good nor bad while the issuer does not say what its keys are', async () => {
  status = 503;
  const token = await tokenBy(first());
  expect(await wordOn(token)).toBe('server_unreachable');
  status = 200;
  expect(await wordOn(token)).toBe('ann');
});
