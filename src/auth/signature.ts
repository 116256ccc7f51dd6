/**
 * Signed requests, as Standard Webhooks has them: `webhook-id`, `webhook-timestamp` (seconds since the epoch) and `webhook-signature`,
 * one or more `v1,<base64>` with a space between them, each the HMAC-SHA256 of `<id>.<timestamp>.<body>`. GitHub's way, the
 * HMAC-SHA256 of the body alone, is understood as well.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { VaporaError } from '../core/errors.js';

const MAX_ID_CHARACTERS = 256;
/** While a secret is being changed there are two; more than this is no sender of good will. */
const MAX_SIGNATURES = 8;
const PREFIX = 'whsec_';

/** `whsec_` and base64 is how Standard Webhooks writes a key; anything else is the key itself. */
function keyOf(secret: string): Buffer {
  return secret.startsWith(PREFIX)
    ? Buffer.from(secret.slice(PREFIX.length), 'base64')
    : Buffer.from(secret, 'utf8');
}

export type SignedHeaders = {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
};

/** `now` in milliseconds since the epoch; `id` stays the same when the same thing is sent again. */
export function sign(secret: string, id: string, now: number, body: Uint8Array): SignedHeaders {
  const timestamp = String(Math.floor(now / 1_000));
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${macOf(secret, id, timestamp, body).toString('base64')}`,
  };
}

function macOf(secret: string, id: string, timestamp: string, body: Uint8Array): Buffer {
  return createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.`).update(body).digest();
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

function header(headers: Headers, name: string): string {
  const value = headers[name];
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`the request has no single header \`${name}\``);
}

/** Says nothing about what would have been right. */
function invalid(message: string): VaporaError {
  return new VaporaError('signature_invalid', message, {
    hint: 'sign with the secret of this webhook, by a clock that is right',
  });
}

/** Answers the delivery's id. Throws `signature_invalid`. Header names are in lower case. */
export function verifySigned(
  secret: string,
  headers: Headers,
  body: Uint8Array,
  time: { readonly now: number; readonly toleranceMs: number },
): string {
  const id = header(headers, 'webhook-id');
  const timestamp = header(headers, 'webhook-timestamp');
  const signatures = header(headers, 'webhook-signature').split(' ');
  if (id.length > MAX_ID_CHARACTERS || !id.isWellFormed()) throw invalid('the delivery has no valid id');
  if (!/^\d{1,12}$/.test(timestamp)) throw invalid('the time of the delivery is no number of seconds');
  const expected = macOf(secret, id, timestamp, body);
  const isSigned = signatures
    .slice(0, MAX_SIGNATURES)
    .some(
      (signature) =>
        signature.startsWith('v1,') && isSame(expected, Buffer.from(signature.slice(3), 'base64')),
    );
  if (!isSigned) throw invalid('the signature does not match');
  if (Math.abs(time.now - Number(timestamp) * 1_000) > time.toleranceMs) {
    throw invalid('the delivery was signed too long ago, or by a clock that is ahead');
  }
  return id;
}

/** Throws `signature_invalid`. GitHub signs no time: what is sent again can only be told by its content. */
export function verifyGithub(secret: string, headers: Headers, body: Uint8Array): void {
  const given = /^sha256=([0-9a-f]{64})$/.exec(header(headers, 'x-hub-signature-256'))?.[1];
  const expected = createHmac('sha256', keyOf(secret)).update(body).digest();
  if (given === undefined || !isSame(expected, Buffer.from(given, 'hex'))) {
    throw invalid('the signature does not match');
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
