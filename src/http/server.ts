/** The HTTP server: what holds for every route, and the routes. */
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { VaporaError } from '../core/errors.js';
import type { App, ServerContext } from './context.js';
import { answerError, sendProblem } from './problem.js';
import { ROUTES } from './routes.js';

export interface ServerLimits {
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  /** Of a whole request, and of its headers. */
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly maxConnections: number;
  /** Requests of one caller in a minute. */
  readonly requestsPerMinute: number;
}

const KIB = 1_024;
export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  maxBodyBytes: 2 * KIB * KIB,
  maxHeaderBytes: 16 * KIB,
  requestTimeoutMs: 60_000,
  headersTimeoutMs: 10_000,
  maxConnections: 2_000,
  requestsPerMinute: 6_000,
};

export interface ServerOptions {
  readonly context: ServerContext;
  readonly log: Logger;
  readonly version: string;
  readonly limits?: ServerLimits;
}

/** A server that does not listen yet. */
export async function createServer(options: ServerOptions): Promise<App> {
  const { context, log, limits = DEFAULT_SERVER_LIMITS } = options;
  const app: App = fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.maxBodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    forceCloseConnections: true,
    return503OnClosing: true,
    http: { maxHeaderSize: limits.maxHeaderBytes, headersTimeout: limits.headersTimeoutMs },
  }).withTypeProvider<ZodTypeProvider>();
  app.server.maxConnections = limits.maxConnections;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      new VaporaError(
        'resource_unknown',
        `there is nothing at \`${request.method} ${request.url.slice(0, 200)}\``,
        {
          hint: 'the API is described at `/api/v1/openapi.json`',
        },
      ),
    ),
  );
  // only JSON: what a form of some other page can send as plain text is not taken
  app.removeContentTypeParser('text/plain');
  addIdentity(app, context);
  await app.register(helmet, { contentSecurityPolicy: { directives: { defaultSrc: ["'self'"] } } });
  await app.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: '1 minute',
    hook: 'preHandler',
    keyGenerator: (request) => request.identity?.principal.user ?? request.ip,
    errorResponseBuilder: (_, { max, after }) =>
      new VaporaError('rate_limited', `more than ${max} requests in a minute`, {
        hint: `try again in ${after}`,
      }),
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Vapora Workflow Engine', version: options.version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  for (const addRoutes of ROUTES) addRoutes(app, context);
  await app.ready();
  return app;
}

function addIdentity(app: App, context: ServerContext): void {
  app.decorateRequest('identity', null);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.access === 'known') {
      request.identity = await context.identifier.identify(request.headers);
    }
  });
}
