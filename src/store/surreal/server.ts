/** A server at the other end of a network: finding it, and waiting for it where it goes away for a while. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createRemoteEngines, escapeIdent, HttpConnectionError, Surreal } from 'surrealdb';
import { VaporaError } from '../../core/errors.js';
import type { Clock } from '../../core/ports.js';
import { pause } from './backoff.js';
import { type Database, databaseOf } from './database.js';
import { isFull, messageOf } from './fault.js';
import { engineWords, withinLimit } from './opening.js';
import type { StoreUrl } from './url.js';

type ServerUrl = Extract<StoreUrl, { kind: 'server' }>;

/** How long a server may be away before the store gives up: a restart, a failover, somebody at a cable. */
const OUTAGE_LIMIT_MS = 30_000;
/** For the answer to one request: a connection may be dead without anybody noticing. */
const ANSWER_LIMIT_MS = 60_000;
const RECONNECT = {
  enabled: true,
  // ended by the limit, not by a count
  attempts: -1,
  retryDelay: 100,
  retryDelayMax: 2_000,
  retryDelayMultiplier: 1.5,
  retryDelayJitter: 0.2,
};

/** Throws `store_unreadable` where nobody listens, who listens is no SurrealDB, or it does not let us in. */
export async function openServer(target: ServerUrl, clock: Clock): Promise<Database> {
  const place = `on \`${target.address}\``;
  const isSocket = target.scheme === 'ws' || target.scheme === 'wss';
  const socket = isSocket ? await findWebSocket() : null;
  const surreal = new Surreal({
    engines: createRemoteEngines(),
    ...(socket === null ? {} : { websocketImpl: socket }),
  });
  try {
    await withinLimit(place, clock, () => enter(surreal, target));
  } catch (error) {
    await surreal.close().catch(() => undefined);
    throw error;
  }
  const database = databaseOf(surreal, place, {
    isEmbedded: false,
    close: () => surreal.close().then(() => undefined),
  });
  const link = new ServerLink(surreal, place, clock);
  return { ...database, run: (statements, values) => link.ask(() => database.run(statements, values)) };
}

async function enter(surreal: Surreal, target: ServerUrl): Promise<void> {
  const { address, namespace, database, credentials, level } = target;
  const place = `on \`${address}\``;
  try {
    await reach(new URL(address));
    await surreal.connect(`${address}/rpc`, {
      reconnect: RECONNECT,
      // a function, so that it is asked again when the connection is new or the token too old
      ...(credentials === null ? {} : { authentication: () => authOf(target) }),
    });
    const [ns, db] = [escapeIdent(namespace), escapeIdent(database)];
    // a user of one database may not define any
    if (level === 'root') {
      await surreal.query(
        `DEFINE NAMESPACE IF NOT EXISTS ${ns}; USE NS ${ns}; DEFINE DATABASE IF NOT EXISTS ${db}`,
      );
    }
    await surreal.use({ namespace, database });
    await surreal.query('RETURN 1');
  } catch (error) {
    throw entryFailure(error, place);
  }
}

function authOf({ credentials, level, namespace, database }: ServerUrl) {
  if (credentials === null) return null;
  return level === 'root' ? credentials : { ...credentials, namespace, database };
}

function entryFailure(error: unknown, place: string): VaporaError {
  if (error instanceof VaporaError || isFull(error)) throw error;
  const words = engineWords(error);
  const isRefused = /authenti|permission|IAM|not allowed|\b401\b|\b403\b/i.test(words);
  const hint = isRefused
    ? 'check user and password, in the URL or in `VAPORA_STORE_USER` and `VAPORA_STORE_PASSWORD`'
    : 'check that the server runs and that the address is right';
  return new VaporaError('store_unreadable', `can't open the store ${place}: ${words}`, {
    hint,
    cause: error,
  });
}

/**
 * Requests go out while the server is there. What was on its way when a connection broke is sent again by the driver on the next
 * one, so everything that the store sends may be carried out twice: rows have ids of their own, and what is there already is read back.
 */
class ServerLink {
  readonly #surreal: Surreal;
  readonly #place: string;
  readonly #clock: Clock;
  /** Told when the server is back, or with an error when it is gone for good. */
  readonly #waiting = new Set<(error: VaporaError | null) => void>();
  /** Told when it is gone for good while they wait for an answer. */
  readonly #asking = new Set<(error: VaporaError) => void>();
  #isAway = false;
  #cancelLimit: () => void = () => undefined;
  #gone: VaporaError | null = null;

  constructor(surreal: Surreal, place: string, clock: Clock) {
    this.#surreal = surreal;
    this.#place = place;
    this.#clock = clock;
    surreal.subscribe('reconnecting', () => this.#onAway());
    surreal.subscribe('connected', () => this.#onBack());
    // the server does not let us in any more
    surreal.subscribe('disconnected', () => this.#giveUp('closed the connection'));
  }

  async ask<T>(question: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      await this.#present();
      try {
        const answer = await this.#answered(question);
        this.#onBack();
        return answer;
      } catch (cause) {
        // over HTTP nobody notices that the server is away until something is asked
        if (this.#gone !== null || !isUnreachable(cause)) throw cause;
        this.#onAway();
        await pause(this.#clock, tries);
      }
    }
  }

  /** Resolves while the server is there, at once or when it is back. */
  #present(): Promise<void> {
    if (this.#gone !== null) return Promise.reject(this.#gone);
    if (this.#surreal.status === 'connected') return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.add((error) => (error === null ? resolve() : reject(error)));
    });
  }

  #answered<T>(question: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(ANSWER_LIMIT_MS, () => {
        reject(this.#failure(`did not answer within ${ANSWER_LIMIT_MS / 1_000} s`));
      });
      this.#asking.add(reject);
      question()
        .then(resolve, reject)
        .finally(() => {
          cancel();
          this.#asking.delete(reject);
        });
    });
  }

  #onAway(): void {
    if (this.#isAway || this.#gone !== null) return;
    this.#isAway = true;
    this.#cancelLimit = this.#clock.after(OUTAGE_LIMIT_MS, () =>
      this.#giveUp(`was away for more than ${OUTAGE_LIMIT_MS / 1_000} s`),
    );
  }

  #onBack(): void {
    if (!this.#isAway || this.#gone !== null) return;
    this.#isAway = false;
    this.#cancelLimit();
    this.#release();
  }

  #release(): void {
    for (const go of this.#waiting) go(null);
    this.#waiting.clear();
  }

  #giveUp(what: string): void {
    if (this.#gone !== null) return;
    const error = this.#failure(what);
    this.#gone = error;
    this.#cancelLimit();
    for (const go of this.#waiting) go(error);
    for (const reject of this.#asking) reject(error);
    this.#waiting.clear();
    this.#asking.clear();
    this.#surreal.close().catch(() => undefined);
  }

  #failure(what: string): VaporaError {
    return new VaporaError('store_failed', `the server of the store ${this.#place} ${what}`, {
      hint: 'see to the server, then start again: everything acknowledged is kept',
    });
  }
}

/** Nobody listens, the connection broke, or what stands before the server can't reach it. */
function isUnreachable(cause: unknown): boolean {
  if (cause instanceof HttpConnectionError) return cause.status >= 502 && cause.status <= 504;
  return cause instanceof TypeError && /fetch failed/.test(messageOf(cause));
}

/** The driver tries again and again without a word where nobody listens, so that is found out first. */
async function reach(url: URL): Promise<void> {
  const isSecure = url.protocol === 'wss:' || url.protocol === 'https:';
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port);
  // an IPv6 address stands in brackets in a URL
  const socket = connect({ port, host: url.hostname.replace(/^\[|\]$/g, '') });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** Node has one of its own from version 22 on; before, the package `ws` is used. */
async function findWebSocket(): Promise<typeof WebSocket> {
  const own: unknown = Reflect.get(globalThis, 'WebSocket');
  if (typeof own === 'function') return own as typeof WebSocket;
  const name: string = 'ws';
  const loaded: unknown = await import(name).catch(() => null);
  if (typeof loaded === 'object' && loaded !== null && 'WebSocket' in loaded) {
    return loaded.WebSocket as typeof WebSocket;
  }
  throw new VaporaError('store_unreadable', 'this Node has no WebSocket for a `ws://` store', {
    hint: 'use Node 22 or later, install the package `ws`, or use `http://`',
  });
}
