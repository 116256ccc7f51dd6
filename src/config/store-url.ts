/** The `store` setting: which engine keeps the state, and where. */
import { resolve } from 'node:path';
import { shown } from './text.js';

const FILE_SCHEMES = ['rocksdb', 'surrealkv'] as const;
const SERVER_SCHEMES = ['ws', 'wss', 'http', 'https'] as const;
export const STORE_SCHEMES: readonly string[] = ['mem', ...FILE_SCHEMES, ...SERVER_SCHEMES];

export type StoreUrl =
  | { readonly ok: true; readonly url: string }
  | { readonly ok: false; readonly reason: string; readonly expected: string; readonly scheme: string };

/** Checks a store URL and makes file paths absolute, relative to `directory`; a `?query` stays as it is. */
export function resolveStoreUrl(url: string, directory: string): StoreUrl {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/s.exec(url) ?? [];
  const refused = (reason: string, expected: string): StoreUrl => ({ ok: false, reason, expected, scheme });
  if (!STORE_SCHEMES.includes(scheme)) {
    return refused(
      scheme === '' ? 'is no URL' : `has the unknown scheme \`${shown(scheme)}\``,
      `one of ${STORE_SCHEMES.map((known) => `\`${known}://\``).join(', ')}`,
    );
  }
  if (scheme === 'mem') {
    return rest === ''
      ? { ok: true, url }
      : refused('has something behind `mem://`', '`mem://`, which takes no path');
  }
  if (FILE_SCHEMES.some((known) => known === scheme)) {
    const [path = '', query] = splitQuery(rest);
    if (path === '') return refused('has no path', `\`${scheme}://PATH\``);
    return { ok: true, url: `${scheme}://${resolve(directory, path)}${query}` };
  }
  if (!URL.canParse(url) || new URL(url).hostname === '') {
    return refused('is no valid URL', `\`${scheme}://HOST:PORT\``);
  }
  return { ok: true, url };
}

function splitQuery(rest: string): [string, string] {
  const at = rest.indexOf('?');
  return at === -1 ? [rest, ''] : [rest.slice(0, at), rest.slice(at)];
}

/**
 * The URL of a server with the user and password that the environment gives, which stand above its own: so that neither the file
 * nor a command line has to hold them. Other URLs stay as they are. The URL has to be a valid one.
 */
export function withStoreCredentials(url: string, env: NodeJS.ProcessEnv): string {
  const { VAPORA_STORE_USER: user, VAPORA_STORE_PASSWORD: password } = env;
  const isServer = SERVER_SCHEMES.some((scheme) => url.startsWith(`${scheme}://`));
  if (!isServer || (!user && !password)) return url;
  const full = new URL(url);
  if (user) full.username = encodeURIComponent(user);
  if (password) full.password = encodeURIComponent(password);
  return full.href;
}

/** The URL without user and password, fit for messages; also of one that can't be read, with a `/` in its password. */
export function redactStoreUrl(url: string): string {
  return url.replace(/\/\/.*@/s, '//***@');
}
