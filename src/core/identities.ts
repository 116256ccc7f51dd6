/** Who may call a server: tokens that it has handed out. */
import type { Principal } from './instance.js';
import type { Digest } from './names.js';

/** An API token as anybody may see it who manages them. */
export interface TokenInfo {
  /** Part of the token that its holder shows; a name. */
  readonly id: string;
  readonly kind: 'person' | 'agent';
  /** The person, or the agent. */
  readonly name: string;
  readonly groups: readonly string[];
  /** Of an agent: roles that it may take tasks for; null: any. */
  readonly roles: readonly string[] | null;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Null: never. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

/** An API token as it is kept: nothing in here lets anybody in. */
export interface ApiToken extends TokenInfo {
  /** SHA-256 of the secret part, which is random and 256 bits long. */
  readonly hash: Digest;
}

/**
 * Where tokens are kept. `saveToken` resolves once the token is on disk; one of the same id is replaced. `tokens` answers all, in no
 * order: there are few, and whoever asks often keeps them.
 */
export interface TokenBook {
  saveToken(token: ApiToken): Promise<void>;
  tokens(): Promise<readonly ApiToken[]>;
}

export interface TokenRequest {
  readonly kind: 'person' | 'agent';
  readonly name: string;
  readonly groups: readonly string[];
  readonly roles: readonly string[] | null;
  /** Milliseconds; null: for ever. */
  readonly lifetimeMs: number | null;
}

/** What can be asked of the tokens, wherever they are kept. */
export interface TokenApi {
  /** Newest first. */
  listTokens(): Promise<readonly TokenInfo[]>;
  /**
   * Answers the token itself, which nobody is shown again, but for whoever asks again with the same `key` within ten minutes. With a
   * key no second token is made. Throws `input_invalid`, `limit_exceeded`, `unauthorized`, `token_exists`.
   */
  createToken(
    request: TokenRequest,
    by: Principal,
    key?: string | null,
  ): Promise<{ readonly token: TokenInfo; readonly secret: string }>;
  /** Lets nobody in from now on. Revoking twice is no error. Throws `token_unknown`, `unauthorized`. */
  revokeToken(id: string, by: Principal): Promise<TokenInfo>;
}
