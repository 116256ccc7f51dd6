/** Errors as `application/problem+json` (RFC 9457), with the code of the table and a link to its page. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod';
import { type ErrorCode, VaporaError } from '../core/errors.js';
import type { WireProblem } from './contract/problem.js';
import { STATUS } from './status.js';

export const PROBLEM_TYPE = 'application/problem+json';
/** Particulars that one answer lists. */
const MAX_PROBLEMS = 50;
/** What a client is told to wait where nothing better is known. */
const RETRY_AFTER_SECONDS = 1;

/** Where the server explains a code. */
export function errorPage(code: string): string {
  return `/errors/${code}`;
}

export function problemOf(error: VaporaError): WireProblem {
  const { code, message, hint, problems } = error;
  return {
    type: errorPage(code),
    title: code.replaceAll('_', ' '),
    status: STATUS[code],
    code,
    detail: message,
    ...(hint === undefined ? {} : { hint }),
    ...(problems.length === 0
      ? {}
      : {
          problems: problems
            .slice(0, MAX_PROBLEMS)
            .map(({ severity, message, path, expected, hint, place }) => ({
              severity,
              message,
              ...(path === undefined ? {} : { path }),
              ...(expected === undefined ? {} : { expected }),
              ...(hint === undefined ? {} : { hint }),
              ...(place === undefined ? {} : { place }),
            })),
        }),
  };
}

/** What a caller is told of an error: of one that is ours no more than that it is. */
export function operatingErrorOf(error: unknown): VaporaError {
  if (error instanceof VaporaError) return error;
  if (isResponseSerializationError(error)) return internal(error);
  if (hasZodFastifySchemaValidationErrors(error)) return invalidRequest(error);
  if (isFastifyError(error)) return refusedRequest(error);
  return internal(error);
}

function internal(cause: unknown): VaporaError {
  return new VaporaError('server_failed', 'the server met a condition that must not be', {
    hint: 'this is a bug of vapora; its log says more, under the request id',
    cause,
  });
}

function invalidRequest(error: FastifyError & { validationContext?: string | undefined }): VaporaError {
  const part = PARTS[error.validationContext ?? ''] ?? 'the request';
  const problems = (error.validation ?? []).slice(0, MAX_PROBLEMS).map(({ instancePath, message }) => ({
    severity: 'error' as const,
    message: message ?? 'is not valid',
    path: instancePath.replace(/^\//, '').replaceAll('/', '.'),
  }));
  const [first] = problems;
  const where = first === undefined || first.path === '' ? '' : `\`${first.path}\`: `;
  const why = first === undefined ? 'is not valid' : `is not valid: ${where}${first.message}`;
  return new VaporaError('input_invalid', `${part} ${why}`, { problems, cause: error });
}

const PARTS: Readonly<Record<string, string>> = {
  body: 'the body',
  querystring: 'the query',
  params: 'the path',
  headers: 'the headers',
};

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && 'statusCode' in error;
}

const REFUSALS: Readonly<Record<string, [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['input_too_large', 'the body is larger than the server takes'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['input_invalid', 'the body is not `application/json`'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['input_invalid', 'the body is empty though it is said to be JSON'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['input_invalid', 'the body is not JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['input_invalid', 'the body is not as long as it is said to be'],
};

function refusedRequest(error: FastifyError): VaporaError {
  const known = REFUSALS[error.code];
  if (known !== undefined) return new VaporaError(known[0], known[1], { cause: error });
  const status = error.statusCode ?? 500;
  if (status >= 500) return internal(error);
  return new VaporaError('input_invalid', 'the request is not valid', { cause: error });
}

export function sendProblem(reply: FastifyReply, error: VaporaError): FastifyReply {
  const { status, ...rest } = problemOf(error);
  reply.problemCode = error.code;
  if ((status === 503 || status === 429) && reply.getHeader('retry-after') === undefined) {
    reply.header('retry-after', RETRY_AFTER_SECONDS);
  }
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // past the serializer of the route: that one knows the answer of a success
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .serializer((body) => String(body))
    .send(JSON.stringify({ ...rest, status }));
}

export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const told = operatingErrorOf(error);
  if (told.code === 'server_failed') request.log.error({ err: error }, 'a request failed');
  return sendProblem(reply, told);
}
