/** The header by which a call that is made again, because its answer was lost, is known. */
import type { IncomingHttpHeaders } from 'node:http';
import { VaporaError } from '../core/errors.js';

const MAX_KEY_CHARACTERS = 255;

/** Null: there is none. Throws `input_invalid`. */
export function keyIn(headers: IncomingHttpHeaders): string | null {
  const key = headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && key !== '' && key.length <= MAX_KEY_CHARACTERS) return key;
  throw new VaporaError(
    'input_invalid',
    `header \`Idempotency-Key\` is not a text of 1 to ${MAX_KEY_CHARACTERS} characters`,
  );
}
