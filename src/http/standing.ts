/** Who is at the other end of an answer that takes its time: meanwhile a token may expire or be revoked, and policies may change. */
import type { IncomingHttpHeaders } from 'node:http';
import { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import type { ServerContext } from './context.js';
import { type Identifier, type Identity, unauthenticated } from './identity.js';

/** Whether somebody may still be told anything. */
export interface Standing {
  /** By then it has to be confirmed; milliseconds since the epoch, infinite where time changes nothing. */
  readonly until: number;
  /** Throws the error that ends it. */
  confirm(): Promise<void>;
}

/** That of whoever has sent a request. */
export class CallerStanding implements Standing {
  readonly #identifier: Identifier;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #headers: IncomingHttpHeaders;
  #identity: Identity;

  constructor(
    { identifier, clock }: Pick<ServerContext, 'identifier' | 'clock'>,
    headers: IncomingHttpHeaders,
    identity: Identity,
  ) {
    this.#identifier = identifier;
    this.#clock = clock;
    this.#headers = headers;
    this.#identity = identity;
  }

  get identity(): Identity {
    return this.#identity;
  }

  get until(): number {
    return this.#identity.expiresAt ?? Number.POSITIVE_INFINITY;
  }

  /** Throws `unauthenticated`. An issuer that is away says nothing about the token, which holds until it expires. */
  async confirm(): Promise<void> {
    try {
      this.#identity = await this.#identifier.identify(this.#headers);
    } catch (error) {
      if (!(error instanceof VaporaError && error.code === 'server_unreachable')) throw error;
    }
    if (this.#clock.now() >= this.until) throw unauthenticated('the token has expired');
  }
}

/** That of whoever reads one instance: policies that were changed since must permit it too. */
export class ReaderStanding implements Standing {
  readonly #context: Pick<ServerContext, 'authorizer' | 'guard' | 'summary'>;
  readonly #caller: CallerStanding;
  readonly #id: string;
  /** Under which it was permitted. */
  #policySet: string | null | undefined;

  constructor(
    context: Pick<ServerContext, 'authorizer' | 'guard' | 'summary'>,
    caller: CallerStanding,
    id: string,
  ) {
    this.#context = context;
    this.#caller = caller;
    this.#id = id;
  }

  get until(): number {
    return this.#caller.until;
  }

  /** Throws `unauthenticated`, `unauthorized`, `instance_unknown`. */
  async confirm(): Promise<void> {
    await this.#caller.confirm();
    await this.checkRead();
  }

  /** Costs nothing while the policies are the same. Throws `unauthorized`, `instance_unknown`. */
  async checkRead(): Promise<void> {
    const { authorizer, guard, summary } = this.#context;
    if (authorizer.policySet === this.#policySet) return;
    const instance = await summary(this.#id);
    guard.checkRead(this.#caller.identity, instance);
    this.#policySet = authorizer.policySet;
  }
}
