/** What a command works on: a store of this machine, or a server. */

import type { EngineConfig } from '../config/load.js';
import { VaporaError } from '../core/errors.js';
import type { Shell } from './shell.js';

export interface ServerTarget {
  readonly url: string;
  readonly token: string | undefined;
  /** Found by the lock of the store, not named by the user. */
  readonly isFound: boolean;
}

/** The server that the user names, with `--server` or `VAPORA_SERVER`; null: none. Throws `usage` for what is no URL. */
export function namedServer({ serverUrl, host: { env } }: Shell): ServerTarget | null {
  const fromEnv = env.VAPORA_SERVER === '' ? undefined : env.VAPORA_SERVER;
  const url = serverUrl ?? fromEnv;
  if (url === undefined) return null;
  const subject = serverUrl === undefined ? 'environment variable `VAPORA_SERVER`' : '`--server`';
  const isHttp = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  // a password in it would stand in the list of processes
  if (!isHttp || new URL(url).username !== '' || new URL(url).password !== '') {
    throw new VaporaError('usage', `${subject} is not the URL of a server`, {
      hint: 'write it as `http://127.0.0.1:8420`, and hand a token over in `VAPORA_TOKEN`',
    });
  }
  return { url, token: tokenOf(env), isFound: false };
}

/** The server that holds the store of the configuration; null: nobody does. */
export async function serverOfStore(shell: Shell, config: EngineConfig): Promise<ServerTarget | null> {
  const { holderOf } = await import('../store/surreal/holder.js');
  const holder = await holderOf(config.engine.store);
  if (holder?.url === undefined) return null;
  return { url: holder.url, token: tokenOf(shell.host.env), isFound: true };
}

function tokenOf(env: NodeJS.ProcessEnv): string | undefined {
  return env.VAPORA_TOKEN === '' ? undefined : env.VAPORA_TOKEN;
}
