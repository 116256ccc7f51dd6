/** The format of `[server]`. */
import { integer, optional, type RowOf, table, text } from './shape.js';

export const DEFAULT_SERVER = {
  host: '127.0.0.1',
  port: 8_420,
  userClaim: 'sub',
  groupsClaim: 'groups',
} as const;

export const authShape = table('`[server.auth]`', {
  issuer: optional(
    text('the URL of an issuer'),
    'Issuer of the JSON Web Tokens that are taken beside API tokens, exactly as in their `iss`. Needs `audience` and `jwks`.',
  ),
  audience: optional(text('an audience'), 'What their `aud` has to name.'),
  jwks: optional(
    text('a URL or the path of a file'),
    "The issuer's keys (a JWK set): a URL, or a file relative to this one.",
  ),
  user_claim: optional(text('the name of a claim'), 'Claim that names the person.', DEFAULT_SERVER.userClaim),
  groups_claim: optional(
    text('the name of a claim'),
    "Claim that lists the person's groups.",
    DEFAULT_SERVER.groupsClaim,
  ),
});

export const serverShape = table('`[server]`', {
  host: optional(
    text('an address'),
    'Where `vapora serve` listens. Anything but an address of this machine alone needs `[server.auth]`.',
    DEFAULT_SERVER.host,
  ),
  port: optional(integer(0, 65_535), 'Port; 0: any that is free.', DEFAULT_SERVER.port),
  public_url: optional(text('a URL'), 'Where agents that are called can reach this server, to answer later.'),
  auth: optional(
    authShape,
    'With this table, even an empty one, callers have to show an API token (`vapora token create`) or a token of the issuer.',
  ),
});

export type ServerRow = RowOf<typeof serverShape>;
