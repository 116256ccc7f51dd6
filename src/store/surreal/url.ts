/** Store URLs: `mem://[name]`, `rocksdb://path`, `surrealkv://path`, `ws(s)://…`, `http(s)://…`. */
import { resolve } from 'node:path';
import { VaporaError } from '../../core/errors.js';
import { isName } from '../../core/names.js';

export type FileEngine = 'rocksdb' | 'surrealkv';

export type StoreUrl =
  /** A named one lives as long as the process and can be opened again; one without a name ends with its handle. */
  | { readonly kind: 'memory'; readonly name: string }
  | { readonly kind: 'file'; readonly engine: FileEngine; readonly path: string }
  | {
      readonly kind: 'server';
      /** Without credentials, namespace and database. */
      readonly address: string;
      readonly scheme: 'ws' | 'wss' | 'http' | 'https';
      readonly credentials: { readonly username: string; readonly password: string } | null;
      /** Of whom the credentials are a user: of the whole server, or of the one database. */
      readonly level: 'root' | 'database';
      readonly namespace: string;
      readonly database: string;
    };

const SCHEME = /^([a-z]+):\/\/(.*)$/s;
const DEFAULT_NAME = 'vapora';
const HINT = 'use `mem://`, `rocksdb://path`, `surrealkv://path`, `ws://host` or `http://host`';

/** Throws `config_invalid`. A relative path is relative to the working directory. Messages never hold credentials. */
export function parseStoreUrl(url: string): StoreUrl {
  const [, scheme = '', rest = ''] = SCHEME.exec(url) ?? [];
  switch (scheme) {
    case 'mem':
      return { kind: 'memory', name: rest };
    case 'rocksdb':
    case 'surrealkv':
      return { kind: 'file', engine: scheme, path: filePath(scheme, rest) };
    case 'ws':
    case 'wss':
    case 'http':
    case 'https':
      return serverUrl(scheme, url);
    default:
      throw new VaporaError('config_invalid', 'the store URL has no known scheme', { hint: HINT });
  }
}

function filePath(scheme: string, path: string): string {
  if (path === '' || path.includes('\0') || path.includes('?')) {
    throw new VaporaError('config_invalid', `the store URL \`${scheme}://\` needs the path of a directory`, {
      hint: HINT,
    });
  }
  return resolve(path);
}

function serverUrl(scheme: 'ws' | 'wss' | 'http' | 'https', text: string): StoreUrl {
  if (!URL.canParse(text)) {
    throw new VaporaError('config_invalid', `the store URL \`${scheme}://…\` can't be read`, { hint: HINT });
  }
  const url = new URL(text);
  const path = url.pathname === '/rpc' ? [] : url.pathname.split('/').filter((part) => part !== '');
  const namespace = url.searchParams.get('namespace') ?? path[0] ?? DEFAULT_NAME;
  const database = url.searchParams.get('database') ?? path[1] ?? DEFAULT_NAME;
  for (const name of [namespace, database]) {
    if (!isName(name)) {
      throw new VaporaError('config_invalid', `\`${name}\` can't name a namespace or database`, {
        hint: HINT,
      });
    }
  }
  const level = url.searchParams.get('user') ?? 'root';
  if (level !== 'root' && level !== 'database') {
    throw new VaporaError('config_invalid', 'the store URL says `user=` and neither `root` nor `database`', {
      hint: '`?user=database` is for a user of that one database',
    });
  }
  const credentials = credentialsOf(url);
  return {
    kind: 'server',
    scheme,
    address: `${scheme}://${url.host}`,
    credentials,
    level,
    namespace,
    database,
  };
}

function credentialsOf({ username, password }: URL): { username: string; password: string } | null {
  if (username === '') return null;
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    throw new VaporaError('config_invalid', 'user or password in the store URL are not percent-encoded', {
      hint: 'write `%` as `%25`, or give them as `VAPORA_STORE_USER` and `VAPORA_STORE_PASSWORD`',
    });
  }
}
