/** How a server that authenticates knows who calls: by API tokens, and by JSON Web Tokens of an issuer. */
import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { OidcSettings } from '../config/server.js';
import { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import { GROUPS_HEADER, type Identifier, type Identity, USER_HEADER, unauthenticated } from './identity.js';
import { isApiToken, type Tokens } from './tokens.js';

const MAX_TOKEN_CHARACTERS = 8_192;
/** Of the issuer, when it is asked for its keys. */
const JWKS_TIMEOUT_MS = 5_000;
const CLOCK_TOLERANCE_SECONDS = 30;
const MAX_GROUPS = 256;
const MAX_TEXT = 256;
/** Public keys only: with a shared secret, whoever can check a token could make one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

export class TokenIdentifier implements Identifier {
  readonly isAuthenticating = true;
  readonly #tokens: Tokens;
  readonly #oidc: OidcVerifier | null;

  constructor(tokens: Tokens, oidc: OidcVerifier | null) {
    this.#tokens = tokens;
    this.#oidc = oidc;
  }

  async identify(headers: IncomingHttpHeaders): Promise<Identity> {
    if (headers[USER_HEADER] !== undefined || headers[GROUPS_HEADER] !== undefined) {
      throw unauthenticated(`header \`${USER_HEADER}\` is not believed here: the token says who calls`);
    }
    const shown = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (shown === undefined) throw unauthenticated();
    if (shown.length > MAX_TOKEN_CHARACTERS) throw unauthenticated('the token is too long');
    if (isApiToken(shown)) return this.#tokens.identify(shown);
    if (this.#oidc === null) throw unauthenticated('the token is not known');
    return this.#oidc.identify(shown);
  }
}

export class OidcVerifier {
  readonly #settings: OidcSettings;
  readonly #keys: JWTVerifyGetKey;
  readonly #clock: Pick<Clock, 'now'>;

  private constructor(settings: OidcSettings, keys: JWTVerifyGetKey, clock: Pick<Clock, 'now'>) {
    this.#settings = settings;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** Throws `config_invalid` where a file of keys can't be read. A URL is asked once a token comes. */
  static async open(settings: OidcSettings, clock: Pick<Clock, 'now'>): Promise<OidcVerifier> {
    const { jwks } = settings;
    if ('url' in jwks) {
      const url = new URL(jwks.url);
      const keys = createRemoteJWKSet(url, { timeoutDuration: JWKS_TIMEOUT_MS });
      return new OidcVerifier(settings, keys, clock);
    }
    try {
      const keys = createLocalJWKSet(JSON.parse(await readFile(jwks.file, 'utf8')));
      return new OidcVerifier(settings, keys, clock);
    } catch (cause) {
      throw new VaporaError('config_invalid', `\`jwks\` \`${jwks.file}\` is not a readable JWK set`, {
        cause,
      });
    }
  }

  /** Throws `unauthenticated`; `server_unreachable` where the issuer's keys can't be had. */
  async identify(token: string): Promise<Identity> {
    const { issuer, audience } = this.#settings;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(this.#clock.now()),
        // one that never expires could never be taken back
        requiredClaims: ['exp'],
      });
      return this.#identityOf(payload);
    } catch (error) {
      if (error instanceof VaporaError) throw error;
      if (error instanceof errors.JWTExpired) throw unauthenticated('the token has expired');
      if (isAboutKeys(error)) {
        throw new VaporaError('server_unreachable', "the issuer's keys can't be fetched", { cause: error });
      }
      throw unauthenticated('the token is not valid');
    }
  }

  #identityOf(payload: JWTPayload): Identity {
    const { userClaim, groupsClaim } = this.#settings;
    const user = payload[userClaim];
    if (!isText(user)) throw unauthenticated(`the token names nobody in \`${userClaim}\``);
    const claimed = payload[groupsClaim];
    const groups = Array.isArray(claimed) ? claimed.filter(isText) : isText(claimed) ? [claimed] : [];
    if (groups.length > MAX_GROUPS) throw unauthenticated(`the token has more than ${MAX_GROUPS} groups`);
    const expiresAt = ((payload.exp ?? 0) + CLOCK_TOLERANCE_SECONDS) * 1_000;
    return { by: 'jwt', kind: 'person', principal: { user, groups }, roles: null, expiresAt };
  }
}

/** Whether the issuer's keys can't be had, which says nothing about the token: no answer, none with status 200, or no key set in it. */
function isAboutKeys(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  const codes = [errors.JOSEError.code, errors.JWKSTimeout.code, errors.JWKSInvalid.code];
  return codes.includes(error.code);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT && value.isWellFormed();
}
