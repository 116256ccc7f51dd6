/** API tokens: made, shown once, known again. What is kept of them lets nobody in. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { VaporaError } from '../core/errors.js';
import type { ApiToken, TokenApi, TokenBook, TokenInfo, TokenRequest } from '../core/identities.js';
import type { Principal } from '../core/instance.js';
import { asDigest, isName, NAME_RULE } from '../core/names.js';
import type { Clock } from '../core/ports.js';
import { type Identity, unauthenticated } from './identity.js';

const PREFIX = 'vap';
const SECRET_BYTES = 32;
const ID_BYTES = 8;
export const MAX_TOKENS = 10_000;
const MAX_GROUPS = 256;
const MAX_TEXT = 256;
const ID_CHARACTERS = ID_BYTES * 2;
/** How long, and of how many tokens, an answer that got lost can be given once more. */
const ANSWER_KEPT_MS = 600_000;
const MAX_ANSWERS = 1_000;

interface Made {
  readonly token: TokenInfo;
  readonly secret: string;
}

export class Tokens implements TokenApi {
  readonly #book: TokenBook;
  readonly #clock: Clock;
  readonly #known: Map<string, ApiToken>;
  /** What was answered under a key a moment ago, by the token's id, oldest first. Nowhere but in this memory. */
  readonly #answers = new Map<
    string,
    { readonly at: number; readonly request: string; readonly made: Promise<Made> }
  >();

  readonly #revocationListeners = new Set<() => void>();

  private constructor(book: TokenBook, clock: Clock, known: readonly ApiToken[]) {
    this.#book = book;
    this.#clock = clock;
    this.#known = new Map(known.map((token) => [token.id, token]));
  }

  static async open(book: TokenBook, clock: Clock): Promise<Tokens> {
    return new Tokens(book, clock, await book.tokens());
  }

  async listTokens(): Promise<readonly TokenInfo[]> {
    return [...this.#known.values()].sort((a, b) => b.createdAt - a.createdAt).map(infoOf);
  }

  async createToken(request: TokenRequest, by: Principal, key: string | null = null): Promise<Made> {
    checkRequest(request);
    if (key === null) return this.#make(randomBytes(ID_BYTES).toString('hex'), request, by);
    const id = hashOf(JSON.stringify([by.user, key])).slice(0, ID_CHARACTERS);
    const text = JSON.stringify(request);
    const now = this.#clock.now();
    for (const [old, { at }] of this.#answers) {
      if (this.#answers.size <= MAX_ANSWERS && now - at < ANSWER_KEPT_MS) break;
      this.#answers.delete(old);
    }
    const before = this.#answers.get(id);
    if (before?.request === text) return before.made;
    if (before !== undefined || this.#known.has(id)) throw tokenExists(id);
    const made = this.#make(id, request, by);
    this.#answers.set(id, { at: now, request: text, made });
    // one that was not made can be asked for again
    made.catch(() => this.#answers.delete(id));
    return made;
  }

  async #make(id: string, request: TokenRequest, by: Principal): Promise<Made> {
    this.#refuseOverlap(request);
    if (this.#known.size >= MAX_TOKENS) {
      throw new VaporaError('limit_exceeded', `there are ${MAX_TOKENS} tokens already`);
    }
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    const now = this.#clock.now();
    const { lifetimeMs, ...rest } = request;
    const token: ApiToken = {
      ...rest,
      id,
      hash: hashOf(secret),
      createdAt: now,
      createdBy: by.user,
      expiresAt: lifetimeMs === null ? null : now + lifetimeMs,
      revokedAt: null,
    };
    await this.#book.saveToken(token);
    this.#known.set(id, token);
    return { token: infoOf(token), secret: `${PREFIX}_${id}_${secret}` };
  }

  /** A token of agent `x` is for `x-1` too: where that had a token of its own, either could pass for the other. */
  #refuseOverlap({ kind, name }: TokenRequest): void {
    if (kind !== 'agent') return;
    const now = this.#clock.now();
    const other = [...this.#known.values()].find(
      (token) =>
        token.kind === 'agent' &&
        token.revokedAt === null &&
        (token.expiresAt ?? Number.POSITIVE_INFINITY) > now &&
        (token.name.startsWith(`${name}-`) || name.startsWith(`${token.name}-`)),
    );
    if (other === undefined) return;
    throw new VaporaError(
      'input_invalid',
      `a token of agent \`${name}\` would overlap with that of agent \`${other.name}\``,
      { hint: 'a token is for its name and all names that begin with it and `-`: take another name' },
    );
  }

  async revokeToken(id: string): Promise<TokenInfo> {
    const token = this.#known.get(id);
    if (token === undefined) {
      throw new VaporaError('token_unknown', `there is no token \`${id.slice(0, 80)}\``, {
        hint: '`vapora token list` shows them',
      });
    }
    if (token.revokedAt !== null) return infoOf(token);
    const revoked = { ...token, revokedAt: this.#clock.now() };
    // shut before it is on disk: should that fail, the holder has lost nothing that they should have
    this.#known.set(id, revoked);
    for (const call of this.#revocationListeners) call();
    await this.#book.saveToken(revoked);
    return infoOf(revoked);
  }

  /** Calls after a token was shut. */
  onRevocation(call: () => void): void {
    this.#revocationListeners.add(call);
  }

  /** Who shows this token. Throws `unauthenticated`, which says no more than whoever holds it may know. */
  identify(shown: string): Identity {
    const [, id = '', secret = ''] = /^vap_([0-9a-f]{16})_([\w-]{43})$/.exec(shown) ?? [];
    const token = this.#known.get(id);
    const hash = Buffer.from(hashOf(secret), 'hex');
    const isRight = token !== undefined && timingSafeEqual(hash, Buffer.from(token.hash, 'hex'));
    if (token === undefined || !isRight) throw unauthenticated('the token is not known');
    if (token.revokedAt !== null) throw unauthenticated('the token is revoked');
    if (token.expiresAt !== null && token.expiresAt <= this.#clock.now()) {
      throw unauthenticated(`the token has expired at ${new Date(token.expiresAt).toISOString()}`);
    }
    const { kind, name, groups, roles, expiresAt } = token;
    return { by: 'token', kind, principal: { user: name, groups }, roles, expiresAt };
  }
}

function tokenExists(id: string): VaporaError {
  return new VaporaError(
    'token_exists',
    'another token was made under this key, or its secret is no longer known',
    {
      hint: `revoke token \`${id}\` if nobody has it, and make one under another key`,
    },
  );
}

function infoOf({ hash: _, ...info }: ApiToken): TokenInfo {
  return info;
}

export function isApiToken(text: string): boolean {
  return text.startsWith(`${PREFIX}_`);
}

function hashOf(secret: string) {
  return asDigest(createHash('sha256').update(secret).digest('hex'));
}

function checkRequest({ kind, name, groups, roles, lifetimeMs }: TokenRequest): void {
  const isText = (text: string) => text.length > 0 && text.length <= MAX_TEXT && text.isWellFormed();
  const refuse = (what: string): never => {
    throw new VaporaError('input_invalid', what);
  };
  if (kind === 'agent' ? !isName(name) : !isText(name)) {
    refuse(
      kind === 'agent'
        ? `an agent's name has ${NAME_RULE}`
        : `a user is a text of 1 to ${MAX_TEXT} characters`,
    );
  }
  if (groups.length > MAX_GROUPS || !groups.every(isText)) {
    refuse(`groups are at most ${MAX_GROUPS} texts of 1 to ${MAX_TEXT} characters`);
  }
  if (roles !== null && kind !== 'agent') refuse('only an agent has roles');
  if (roles !== null && (roles.length > MAX_GROUPS || !roles.every(isName))) {
    refuse(`roles are at most ${MAX_GROUPS} names: ${NAME_RULE}`);
  }
  if (lifetimeMs !== null && !(lifetimeMs > 0 && Number.isSafeInteger(lifetimeMs)))
    refuse('a lifetime is above 0');
}
