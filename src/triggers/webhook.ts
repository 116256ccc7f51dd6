/** From a signed request to a start. Nothing is done for a request whose signature does not hold. */

import { verifyGithub, verifySigned } from '../auth/signature.js';
import { shown } from '../config/text.js';
import type { StartRequest } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import type { WebhookTrigger } from '../core/trigger.js';
import { sha256 } from '../engine/digest.js';
import { MAX_JSON_DEPTH, parseJsonInput } from '../engine/json-input.js';
import { deliveryId } from './start-ids.js';

export interface Delivery {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** As it came: the signature covers each byte. */
  readonly body: Uint8Array;
}

/**
 * The start that a delivery asks for; null: it does not match what the trigger waits for. The delivery's id is the start's idempotency
 * key: sent again, it starts nothing again. Throws `signature_invalid`, `input_invalid`, `input_too_large`.
 */
export function startOf(
  workflow: string,
  trigger: WebhookTrigger,
  secret: string,
  delivery: Delivery,
  limits: { readonly now: number; readonly maxBytes: number },
): StartRequest | null {
  const { headers, body } = delivery;
  const { now, maxBytes } = limits;
  let key: string;
  if (trigger.scheme === 'standard') {
    key = verifySigned(secret, headers, body, { now, toleranceMs: trigger.toleranceMs });
  } else {
    verifyGithub(secret, headers, body);
    // its delivery id is not signed, so only the content tells whether it is sent again
    key = sha256(Buffer.from(body).toString('latin1'));
  }
  const value = bodyOf(body, maxBytes);
  if (!trigger.match.every(([pointer, text]) => textAt(value, pointer) === text)) return null;
  const { initiator } = trigger;
  return {
    workflow,
    id: deliveryId(workflow, key),
    input: trigger.input === null ? value : inputOf(value, trigger.input),
    initiator,
    labels: trigger.scheme === 'standard' ? { delivery: key } : {},
  };
}

function bodyOf(body: Uint8Array, maxBytes: number): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new VaporaError('input_invalid', 'the body of the delivery is not UTF-8 text');
  }
  return parseJsonInput(text, { maxBytes, maxDepth: MAX_JSON_DEPTH }, 'the body of the delivery');
}

function inputOf(body: unknown, pointers: readonly (readonly [string, string])[]): unknown {
  const entries = pointers.map(([key, pointer]) => {
    const value = at(body, pointer);
    if (value !== undefined) return [key, value] as const;
    throw new VaporaError('input_invalid', `the body of the delivery has nothing at \`${shown(pointer)}\``, {
      hint: `that is where \`${shown(key)}\` of the input comes from`,
    });
  });
  return Object.fromEntries(entries);
}

/** Numbers and the like match as JSON writes them. */
function textAt(body: unknown, pointer: string): string | undefined {
  const value = at(body, pointer);
  return typeof value === 'string' || value === undefined ? value : JSON.stringify(value);
}

/** RFC 6901. Undefined: there is nothing. */
function at(body: unknown, pointer: string): unknown {
  let value: unknown = body;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    if (Array.isArray(value) && !/^(?:0|[1-9]\d*)$/.test(key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
