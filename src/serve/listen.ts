/** Where the server listens. */
import { isIP } from 'node:net';
import { VaporaError } from '../core/errors.js';
import type { App } from '../http/context.js';

export interface ServerAddress {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
}

export const DEFAULT_ADDRESS: ServerAddress = { host: '127.0.0.1', port: 8420 };

/** Whether only processes of this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Answers the URL. Throws `server_unreachable` where it can't listen there. */
export async function listen(app: App, address: ServerAddress): Promise<string> {
  try {
    return await app.listen({ ...address, listenTextResolver: (url) => `listening at ${url}` });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const where = `${address.host}:${address.port}`;
    throw new VaporaError('server_unreachable', `the server can't listen on \`${where}\`: ${code}`, {
      hint:
        code === 'EADDRINUSE'
          ? 'another process has that port: end it, or give another one with `--port`'
          : 'give an address of this machine with `--host`',
      cause,
    });
  }
}
