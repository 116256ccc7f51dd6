import { hash } from 'node:crypto';
import { asDigest, type Digest } from '../core/names.js';

/** SHA-256 in hex; text is taken as UTF-8. */
export function sha256(content: string | Uint8Array): Digest {
  return asDigest(hash('sha256', content, 'hex'));
}
