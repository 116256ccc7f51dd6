/** API tokens on the wire. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Name, Time, TimeOrNull } from './shapes.js';

const TOKENS = `${API_PREFIX}/tokens`;
const tag = 'tokens';
const MAX_DAYS = 3_660;

export const Token = z
  .object({
    id: z.string(),
    kind: z.enum(['person', 'agent']),
    name: z.string(),
    groups: z.array(z.string()),
    roles: z.array(z.string()).nullable().meta({ description: 'of an agent; null: any' }),
    created_at: Time,
    created_by: z.string(),
    expires_at: TimeOrNull,
    revoked_at: TimeOrNull,
  })
  .meta({ id: 'Token' });

export const listTokens = endpoint({
  method: 'GET',
  path: TOKENS,
  id: 'listTokens',
  tag,
  summary: 'list API tokens, the latest first; never the secrets',
  answer: z.object({ tokens: z.array(Token) }),
});

export const createToken = endpoint({
  method: 'POST',
  path: TOKENS,
  id: 'createToken',
  tag,
  summary: 'make an API token, shown once',
  description:
    'With an `Idempotency-Key` header no second token is made: asked again within ten minutes, the same token is answered, and later, or after a restart, `token_exists`, because the secret is kept nowhere.',
  body: z.object({
    kind: z.enum(['person', 'agent']).default('person'),
    name: z.string().min(1).max(256),
    groups: z.array(z.string().min(1).max(256)).max(256).default([]),
    roles: z.array(Name).max(256).nullable().default(null),
    expires_in_days: z.number().positive().max(MAX_DAYS).nullable().default(null),
  }),
  answer: Token.extend({
    token: z.string().meta({ description: 'the token itself; nobody is shown it again' }),
  }),
  status: 201,
});

export const revokeToken = endpoint({
  method: 'POST',
  path: `${TOKENS}/:id/revoke`,
  id: 'revokeToken',
  tag,
  summary: 'let a token in no more',
  params: z.object({ id: z.string().max(64) }),
  answer: Token,
});
