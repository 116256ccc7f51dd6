/** Branded ids and the one rule for names. */

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Identifies one execution of a template. 1 to 128 characters, see {@link isName}. */
export type InstanceId = Brand<string, 'InstanceId'>;
/** Lower-case hex SHA-256 of some content, 64 characters. */
export type Digest = Brand<string, 'Digest'>;

export const MAX_NAME_CHARACTERS = 128;
/** What a valid name looks like, for messages. */
export const NAME_RULE = '1 to 128 letters, digits, `-`, `_` or `.`';

const NAME = /^[\p{L}\p{Nd}._-]+$/u;
const DIGEST = /^[0-9a-f]{64}$/;

/**
 * Whether `text` may name a template, stage, agent, role or instance: 1 to 128 Unicode letters, digits, `-`, `_`, `.`.
 * Names are compared exactly as written: no trimming, case folding or normalization.
 * `.` and `..` alone are refused, because names become parts of paths and resource addresses.
 */
export function isName(text: string): boolean {
  if (text.length === 0 || text.length > MAX_NAME_CHARACTERS * 2) return false;
  if (text === '.' || text === '..') return false;
  return NAME.test(text) && [...text].length <= MAX_NAME_CHARACTERS;
}

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** Marks a string that has already been checked with {@link isName}. */
export function asInstanceId(name: string): InstanceId {
  return name as InstanceId;
}

/** Marks a string that is known to be a SHA-256 in hex. */
export function asDigest(hex: string): Digest {
  return hex as Digest;
}
