import type { z } from 'zod';
import type { TokenInfo } from '../../core/identities.js';
import type { App, ServerContext } from '../context.js';
import { createToken, listTokens, revokeToken, type Token } from '../contract/tokens.js';
import { toWire } from '../contract/wire.js';
import { keyIn } from '../idempotency-key.js';
import { addRoute } from '../routing.js';

const DAY_MS = 86_400_000;

export function tokenRoutes(app: App, { tokens, guard }: ServerContext): void {
  addRoute(app, listTokens, async ({ identity }) => {
    guard.checkEngine(identity, 'manage-tokens');
    return { tokens: (await tokens.listTokens()).map(tokenAnswer) };
  });
  addRoute(app, createToken, async ({ body, identity, request, reply }) => {
    guard.checkEngine(identity, 'manage-tokens');
    const { kind, name, groups, roles, expires_in_days: days } = body;
    const lifetimeMs = days === null ? null : Math.round(days * DAY_MS);
    const { token, secret } = await tokens.createToken(
      { kind, name, groups, roles, lifetimeMs },
      identity.principal,
      keyIn(request.headers),
    );
    reply.header('cache-control', 'no-store');
    return { ...tokenAnswer(token), token: secret };
  });
  addRoute(app, revokeToken, async ({ params, identity }) => {
    guard.checkEngine(identity, 'manage-tokens');
    return tokenAnswer(await tokens.revokeToken(params.id));
  });
}

function tokenAnswer(token: TokenInfo): z.output<typeof Token> {
  return toWire(token) as z.output<typeof Token>;
}
