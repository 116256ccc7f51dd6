/** One text for one value: what hashes are taken over. */
import { createHash } from 'node:crypto';
import { asDigest, type Digest } from '../core/names.js';

/** JSON with sorted keys and no spaces. `value` holds nothing but plain JSON. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`;
}

/** SHA-256 of the canonical JSON. */
export function hashOf(value: unknown): Digest {
  return asDigest(createHash('sha256').update(canonicalJson(value)).digest('hex'));
}
