/**
 * Calls of the engine to others over HTTP. Only whom the configuration lists is called, and only at addresses of the public internet
 * unless their network is listed too. The address that was looked at is the one that is connected to, and redirects are not followed:
 * otherwise whoever runs a name service or a web server could have the engine call its own neighbours.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { isListed, type OutboundSettings } from '../config/outbound.js';
import { VaporaError } from '../core/errors.js';

export interface Address {
  readonly address: string;
  readonly family: number;
}

export interface OutboundOptions {
  /** Default: the system's name service. */
  readonly lookup?: (host: string) => Promise<readonly Address[]>;
}

export interface Question {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  readonly signal: AbortSignal;
  /** From the call to the end of the answer. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export class Outbound {
  readonly #settings: OutboundSettings;
  readonly #networks: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];
  readonly #lookup: (host: string) => Promise<readonly Address[]>;

  constructor(settings: OutboundSettings, options: OutboundOptions = {}) {
    this.#settings = settings;
    this.#networks = settings.networks.map((network) => ipaddr.parseCIDR(network));
    this.#lookup = options.lookup ?? ((host) => systemLookup(host, { all: true }));
  }

  /** Throws `destination_refused` where the host is not listed, or is an address that may not be called. */
  check(url: URL): void {
    if (!/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
      throw refused('it is no `http` or `https` URL, or has a password in it');
    }
    if (!isListed(this.#settings, url)) {
      throw refused(`\`${url.host}\` is not listed in \`engine.outbound.hosts\``);
    }
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    if (isIP(host) !== 0 && !this.#mayCall(host)) throw this.#refusedAddress(url.host);
  }

  /**
   * Throws `destination_refused`, `agent_timeout`, `agent_protocol` for an answer that is too large, `agent_failed` for a connection that
   * fails, and what `signal` is aborted with.
   */
  async ask(question: Question): Promise<Reply> {
    const { url, signal, timeoutMs } = question;
    this.check(url);
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await this.#send(question, AbortSignal.any([signal, timeout]));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (timeout.aborted) throw new VaporaError('agent_timeout', `no answer came within ${timeoutMs} ms`);
      if (error instanceof VaporaError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw new VaporaError('agent_failed', `the connection failed: ${code ?? message}`, { cause: error });
    }
  }

  #send({ url, method, headers, body, maxAnswerBytes }: Question, signal: AbortSignal): Promise<Reply> {
    const request = url.protocol === 'https:' ? https.request : http.request;
    return new Promise((resolve, reject) => {
      const length = body === null ? {} : { 'content-length': String(body.byteLength) };
      const options = {
        method,
        headers: { ...headers, ...length, 'accept-encoding': 'identity' },
        signal,
        // a connection of its own: one that is kept would skip the look at the address
        agent: false as const,
        lookup: this.#pinned,
      };
      const sent = request(url, options, (answer) => {
        const parts: Buffer[] = [];
        let size = 0;
        answer.on('data', (part: Buffer) => {
          size += part.length;
          parts.push(part);
          if (size <= maxAnswerBytes) return;
          answer.destroy();
          reject(new VaporaError('agent_protocol', `the answer has more than ${maxAnswerBytes} bytes`));
        });
        answer.once('error', reject);
        answer.once('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
        );
      });
      sent.once('error', reject);
      sent.end(body ?? undefined);
    });
  }

  readonly #pinned: LookupFunction = (host, { all }, done) => {
    this.#lookup(host).then(
      (found) => {
        const allowed = found.filter(({ address }) => this.#mayCall(address));
        const [first] = allowed;
        if (first === undefined) done(this.#refusedAddress(host), '', 0);
        else if (all === true) done(null, [...allowed]);
        else done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, '', 0),
    );
  };

  #mayCall(text: string): boolean {
    if (!ipaddr.isValid(text)) return false;
    // an IPv4 address in an IPv6 one is the IPv4 address
    const address = ipaddr.process(text);
    if (address.range() === 'unicast') return true;
    return this.#networks.some(
      ([network, bits]) => network.kind() === address.kind() && address.match(network, bits),
    );
  }

  #refusedAddress(host: string): VaporaError {
    return refused(
      `\`${host}\` is at a private or reserved address that is not in \`engine.outbound.networks\``,
    );
  }
}

function refused(why: string): VaporaError {
  return new VaporaError('destination_refused', `the destination is refused: ${why}`, {
    hint: 'add it to `[engine.outbound]` if it is meant',
  });
}
