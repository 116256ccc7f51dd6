/** `vapora token`: who may call a server. */
import { VaporaError } from '../../core/errors.js';
import type { TokenInfo } from '../../core/identities.js';
import { parseCount } from '../input.js';
import { readEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { clean, isoTime, moment } from '../text.js';

export interface CreateTokenOptions extends PersonOptions {
  readonly user?: string;
  readonly agent?: string;
  readonly tokenGroup: readonly string[];
  readonly role: readonly string[];
  readonly expires?: string;
}

const DAY_MS = 86_400_000;
const MAX_DAYS = 3_660;

export async function createToken(shell: Shell, options: CreateTokenOptions): Promise<number> {
  const { user, agent, tokenGroup: groups, role, expires } = options;
  const name = user ?? agent;
  if (name === undefined || (user !== undefined && agent !== undefined)) {
    throw new VaporaError('usage', 'give either `--user` or `--agent`');
  }
  const days = expires === undefined ? null : parseCount(expires, '`--expires`', 1, MAX_DAYS);
  return readEngine(shell, async ({ tokens, person }) => {
    const request = {
      kind: agent === undefined ? ('person' as const) : ('agent' as const),
      name,
      groups,
      roles: role.length === 0 ? null : role,
      lifetimeMs: days === null ? null : days * DAY_MS,
    };
    const { token, secret } = await tokens.createToken(request, person(options));
    shell.json({ ...tokenJson(token), token: secret });
    // the token alone is on stdout, so that it can be put where it belongs without being seen
    shell.say(secret);
    if (!shell.isJson) shell.note(`token ${token.id} of ${clean(token.name)}: it is not shown again`);
    return 0;
  });
}

export async function listTokens(shell: Shell): Promise<number> {
  return readEngine(shell, async ({ tokens }) => {
    const all = await tokens.listTokens();
    shell.json({ tokens: all.map(tokenJson) });
    const now = shell.clock.now();
    const rows = all.map((token) => [
      token.id,
      token.kind,
      clean(token.name),
      clean([...token.groups, ...(token.roles ?? [])].join(' ')),
      moment(token.createdAt),
      stateOf(token, now),
    ]);
    const head = ['ID', 'KIND', 'NAME', 'GROUPS AND ROLES', 'MADE', 'STATE'];
    shell.say(...(rows.length === 0 ? ['no tokens'] : tableLines(head, rows, shell.colors)));
    return 0;
  });
}

export async function revokeToken(shell: Shell, id: string, options: PersonOptions): Promise<number> {
  return readEngine(shell, async ({ tokens, person }) => {
    const token = await tokens.revokeToken(id, person(options));
    shell.json(tokenJson(token));
    shell.say(`token ${token.id} of ${clean(token.name)} is revoked`);
    return 0;
  });
}

function stateOf({ revokedAt, expiresAt }: TokenInfo, now: number): string {
  if (revokedAt !== null) return `revoked ${moment(revokedAt)}`;
  if (expiresAt === null) return 'good';
  return expiresAt <= now ? `expired ${moment(expiresAt)}` : `good until ${moment(expiresAt)}`;
}

function tokenJson(token: TokenInfo): Record<string, unknown> {
  const { id, kind, name, groups, roles, createdAt, createdBy, expiresAt, revokedAt } = token;
  return {
    id,
    kind,
    name,
    groups,
    roles,
    created_at: isoTime(createdAt),
    created_by: createdBy,
    expires_at: expiresAt === null ? null : isoTime(expiresAt),
    revoked_at: revokedAt === null ? null : isoTime(revokedAt),
  };
}
