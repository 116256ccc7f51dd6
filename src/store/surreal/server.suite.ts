/**
 * A SurrealDB server for tests: the embedded engine's core behind the real RPC protocol, over WebSocket and HTTP. Each connection
 * has to choose its database and, where the server asks for it, sign in, as with a real one.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { CborCodec } from 'surrealdb';
import { assert } from '../../core/errors.js';

interface Core {
  execute(frame: Uint8Array): Promise<Uint8Array>;
}
interface Socket {
  on(event: 'message', listener: (data: Buffer) => void): void;
  send(data: Uint8Array): void;
  terminate(): void;
}
interface SocketServer {
  readonly clients: Set<Socket>;
  on(event: 'connection', listener: (socket: Socket) => void): void;
}

const require = createRequire(import.meta.url);
// untyped: the package has no types of its own
const { WebSocketServer } = require('ws') as { WebSocketServer: new (options: object) => SocketServer };
const codec = new CborCodec({});

export interface Request {
  readonly id?: string;
  readonly method: string;
  readonly params?: readonly unknown[];
}

/** `answer`: as it should be; `lose`: it is carried out, but the connection breaks; `hang`: carried out, and nobody hears of it. */
export type Fate = 'answer' | 'lose' | 'hang';

export interface TestServer {
  readonly port: number;
  url(scheme: 'ws' | 'http', credentials?: string): string;
  /** Decides what becomes of requests from now on. */
  onRequest(fate: (request: Request) => Fate): void;
  /** Methods of the requests so far, with their statements. */
  readonly heard: readonly string[];
  /** Breaks all connections and hears no new ones. */
  stop(): Promise<void>;
  /** Listens again, at the same port, with the same data. */
  start(): Promise<void>;
}

/** With `password`, only the user `root` is let in. */
export async function startTestServer({ password }: { password?: string } = {}): Promise<TestServer> {
  const core = await openCore();
  const heard: string[] = [];
  let fateOf: (request: Request) => Fate = () => 'answer';
  let port = 0;
  let running: ReturnType<typeof listen> | null = null;
  if (password !== undefined) {
    const statement = `DEFINE USER root ON ROOT PASSWORD ${JSON.stringify(password)} ROLES OWNER`;
    await core.execute(codec.encode({ id: 'user', method: 'query', params: [statement, {}] }));
  }
  /** One session of the core stands for all connections, so a connection's own rights are kept here. */
  const session = () => {
    let isIn = password === undefined;
    let isUsing = false;
    return async (frame: Uint8Array): Promise<{ fate: Fate; answer: Uint8Array }> => {
      const request = codec.decode<Request>(frame);
      heard.push(request.method === 'query' ? `query ${String(request.params?.[0])}` : request.method);
      const isDefining = /^DEFINE /.test(String(request.params?.[0]));
      if (request.method === 'query' && !isIn) {
        return {
          fate: 'answer',
          answer: refusal(request, 'IAM error: Not enough permissions to perform this action'),
        };
      }
      if (request.method === 'query' && !isUsing && !isDefining) {
        return { fate: 'answer', answer: refusal(request, 'Specify a namespace to use') };
      }
      const fate = fateOf(request);
      const answer = await core.execute(frame);
      const hasFailed = isFailure(codec.decode(answer));
      // a new connection comes with the token of the one before
      const isSignIn = request.method === 'signin' || request.method === 'authenticate';
      if (isSignIn && !hasFailed) isIn = true;
      if (request.method === 'use' && !hasFailed) isUsing = true;
      return { fate, answer: wrapped(request, answer) };
    };
  };
  const start = async () => {
    running = listen(session);
    port = await running.bind(port);
  };
  await start();
  return {
    get port() {
      return port;
    },
    url: (scheme, credentials) =>
      `${scheme}://${credentials === undefined ? '' : `${credentials}@`}127.0.0.1:${port}`,
    onRequest: (fate) => {
      fateOf = fate;
    },
    heard,
    start,
    stop: async () => running?.stop(),
  };
}

type OpenSession = () => (frame: Uint8Array) => Promise<{ fate: Fate; answer: Uint8Array }>;

function listen(session: OpenSession) {
  const server = createServer((request, response) => {
    answerHttp(session, request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  const sockets = new WebSocketServer({
    server,
    handleProtocols: (offered: Set<string>) => (offered.has('cbor') ? 'cbor' : false),
  });
  sockets.on('connection', (socket) => {
    const handle = session();
    socket.on('message', (data) => {
      handle(new Uint8Array(data)).then(({ fate, answer }) => {
        if (fate === 'answer') socket.send(answer);
        if (fate === 'lose') socket.terminate();
      });
    });
  });
  return {
    bind: (port: number) =>
      new Promise<number>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
      }),
    stop: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets.clients) socket.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Over HTTP each request is a session of its own, with its database and its rights in headers. */
async function answerHttp(
  open: OpenSession,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const handle = open();
  const { headers } = request;
  const namespace = headers['surreal-ns'];
  const token = headers.authorization?.replace(/^Bearer /, '');
  if (token !== undefined) await handle(codec.encode({ id: 'in', method: 'authenticate', params: [token] }));
  if (namespace !== undefined)
    await handle(codec.encode({ id: 'use', method: 'use', params: [namespace, headers['surreal-db']] }));
  const frame = new Uint8Array(Buffer.concat(chunks));
  const { fate, answer } = await handle(frame);
  if (fate === 'lose') response.destroy();
  if (fate === 'answer') response.writeHead(200, { 'content-type': 'application/cbor' }).end(answer);
}

function refusal({ id }: Request, message: string): Uint8Array {
  return codec.encode({ id, error: { code: -32000, message } });
}

function isFailure(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'error' in answer;
}

/** The core answers with the bare result; on the wire it stands beside the request's id. */
function wrapped({ id }: Request, frame: Uint8Array): Uint8Array {
  const answer = codec.decode<unknown>(frame);
  return codec.encode(isFailure(answer) ? { id, ...(answer as object) } : { id, result: answer });
}

async function openCore(): Promise<Core> {
  await import('@surrealdb/node');
  for (const loaded of Object.values(require.cache)) {
    const binding: unknown = loaded?.exports;
    if (typeof binding !== 'object' || binding === null || !('SurrealNodeEngine' in binding)) continue;
    const engine = binding.SurrealNodeEngine as { connect(url: string, options: object): Promise<Core> };
    return engine.connect('mem://', {});
  }
  assert(false, 'the embedded engine is loaded');
}
