/** The HTTP server: what holds for every route, and the routes. */
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
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
import { addBodyParser } from './body.js';
import type { App, ServerContext } from './context.js';
import { addDoor } from './door.js';
import { answerError, sendProblem } from './problem.js';
import { addRequestMetrics } from './request-metrics.js';
import { ROUTES } from './routes.js';

export interface ServerLimits {
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  /** Of a whole request, and of its headers. */
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly maxConnections: number;
  /** Requests under way; beyond that they are told to come again. */
  readonly maxConcurrent: number;
  /** Requests of one caller in a minute. */
  readonly requestsPerMinute: number;
}

const MAX_PARAM_CHARACTERS = 128 * 12;
/** How often connections are looked at for those that take too long. */
const CHECK_CONNECTIONS_MS = 5_000;

/** The API for people to read. */
export const DESCRIPTION_PAGE = '/docs';

const KIB = 1_024;
export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  maxBodyBytes: 2 * KIB * KIB,
  maxHeaderBytes: 16 * KIB,
  requestTimeoutMs: 60_000,
  headersTimeoutMs: 10_000,
  maxConnections: 2_500,
  maxConcurrent: 2_000,
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
    // an id of 128 characters that are all encoded
    routerOptions: { maxParamLength: MAX_PARAM_CHARACTERS },
    frameworkErrors: answerError,
    http: {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_CONNECTIONS_MS, limits.headersTimeoutMs),
    },
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
  addBodyParser(app);
  app.decorateReply('problemCode', null);
  if (context.metrics !== null) addRequestMetrics(app, context.metrics.requests);
  const { isAuthenticating } = context.identifier;
  addDoor(app, { isAuthenticating, maxConcurrent: limits.maxConcurrent });
  addIdentity(app, context);
  addRequestLog(app, context);
  await app.register(helmet, {
    // what is not encrypted here may be so in front of us, and must not be promised to browsers on our own account
    hsts: false,
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        upgradeInsecureRequests: null,
      },
    },
  });
  await addRateLimit(app, limits);
  await addDescription(app, options.version);
  for (const addRoutes of ROUTES) addRoutes(app, context);
  await app.ready();
  return app;
}

async function addRateLimit(app: App, limits: ServerLimits): Promise<void> {
  await app.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: '1 minute',
    hook: 'preHandler',
    // a name that nobody has checked could be another one each time
    keyGenerator: ({ identity, ip }) =>
      identity === null || identity.by === 'claimed' ? ip : `${identity.kind} ${identity.principal.user}`,
    errorResponseBuilder: (_, { max, after }) =>
      new VaporaError('rate_limited', `more than ${max} requests in a minute`, {
        hint: `try again in ${after}`,
      }),
  });
}

async function addDescription(app: App, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Vapora Workflow Engine', version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(swaggerUi, { routePrefix: DESCRIPTION_PAGE });
}

/** Never the query or the headers: they may hold what is nobody's business. */
function addRequestLog(app: App, { clock }: ServerContext): void {
  app.addHook('onResponse', async ({ method, routeOptions, identity, log }, reply) => {
    const user = identity?.principal.user ?? null;
    log.debug(
      { method, route: routeOptions.url, status: reply.statusCode, user, at: clock.now() },
      'answered',
    );
  });
}

function addIdentity(app: App, context: ServerContext): void {
  app.decorateRequest('identity', null);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.access === 'known') {
      request.identity = await context.identifier.identify(request.headers);
    }
  });
}
