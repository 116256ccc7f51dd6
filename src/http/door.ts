/** What is turned away before anything is looked at: other sites' pages, and more than the server can do at once. */
import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { VaporaError } from '../core/errors.js';
import type { App } from './context.js';

export interface DoorOptions {
  /** Whether callers show who they are: what a page of another site can't. */
  readonly isAuthenticating: boolean;
  /** Requests under way at once, those that wait and event streams included. */
  readonly maxConcurrent: number;
}

export function addDoor(app: App, { isAuthenticating, maxConcurrent }: DoorOptions): void {
  let underWay = 0;
  app.addHook('onRequest', async (request, reply) => {
    underWay += 1;
    reply.raw.once('close', () => {
      underWay -= 1;
    });
    // whether it is alive can be asked of a server that is full
    if (request.routeOptions.config.access !== 'known') return;
    refuseOtherSites(request);
    if (!isAuthenticating) refuseForeignNames(request);
    if (underWay > maxConcurrent) {
      throw new VaporaError('engine_overloaded', `${maxConcurrent} requests are under way`, {
        hint: 'try again in a moment',
      });
    }
  });
}

/** A browser says where a page's request comes from. There is no CORS, and this also stops what needs none, such as forms. */
function refuseOtherSites({ headers }: FastifyRequest): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  const isOwn = origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
  if (isOwn && site !== 'cross-site' && site !== 'same-site') return;
  throw new VaporaError('unauthorized', 'a page of another site may not call this server');
}

/** Names that lead here without anybody's doing are those of this machine; any other may be a trick with the name service. */
function refuseForeignNames({ headers }: FastifyRequest): void {
  const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (host === '' || host === 'localhost' || isIP(host) !== 0) return;
  throw new VaporaError('unauthorized', `the server is not \`${host.slice(0, 80)}\``, {
    hint: 'call it by its address, or add `[server.auth]` to its configuration',
  });
}
