/** From a declared endpoint to a route. */
import type { FastifyReply, FastifySchema } from 'fastify';
import { z } from 'zod';
import type { App, Call } from './context.js';
import type { Endpoint, Valid } from './contract/endpoint.js';
import { Problem } from './contract/problem.js';
import { type Identity, unauthenticated } from './identity.js';
import { PROBLEM_TYPE } from './problem.js';

/** A JSON answer, or nothing where the route has answered through `reply` itself. */
export type Answer<E extends Endpoint> = E['answer'] extends z.ZodType ? Valid<E['answer']> : FastifyReply;

const ANYBODY: Identity = {
  by: 'claimed',
  kind: 'person',
  principal: { user: 'anonymous', groups: [] },
  roles: null,
  expiresAt: null,
};

/**
 * Adds the endpoint's route. `handle` gets what is valid, and who calls; it answers what the endpoint declares, and throws
 * `VaporaError`s, which become problems. For an answer that is not JSON it sends through `reply` and returns that.
 */
export function addRoute<const E extends Endpoint>(
  app: App,
  endpoint: E,
  handle: (call: Call<E>) => Promise<Answer<E>>,
): void {
  const { method, path, status = 200, access = 'known', maxBodyBytes } = endpoint;
  app.route({
    method,
    url: path,
    schema: schemaOf(endpoint),
    config: { access },
    ...(maxBodyBytes === undefined ? {} : { bodyLimit: maxBodyBytes }),
    handler: async (request, reply) => {
      if (access !== 'open' && request.identity === null) throw unauthenticated();
      const identity = request.identity ?? ANYBODY;
      const call = {
        params: request.params,
        query: request.query,
        body: request.body,
        identity,
        request,
        reply,
      } as Call<E>;
      const answer = await handle(call);
      if (reply.sent || answer === reply) return reply;
      reply.code(status);
      return answer;
    },
  });
}

function schemaOf(endpoint: Endpoint): FastifySchema {
  const { id, tag, summary, description, params, query, body, answer, status = 200, access } = endpoint;
  const problem = { description: 'a problem', content: { [PROBLEM_TYPE]: { schema: Problem } } };
  const success =
    typeof answer === 'string'
      ? { description: 'the content', content: { [answer]: { schema: z.string() } } }
      : answer;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(access === 'open' ? {} : { security: [{ token: [] }] }),
    ...(params === undefined ? {} : { params }),
    ...(query === undefined ? {} : { querystring: query }),
    ...(body === undefined ? {} : { body }),
    response: { [status]: success, default: problem },
  };
}
