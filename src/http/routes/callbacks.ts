import { clip, failedOutcome, ProtocolError } from '../../agent/outcome.js';
import { resultOutcome } from '../../agent/webhook.js';
import { VaporaError } from '../../core/errors.js';
import { asDigest } from '../../core/names.js';
import type { TaskOutcome } from '../../core/ports.js';
import { sha256 } from '../../engine/digest.js';
import { MAX_JSON_DEPTH, parseJsonInput } from '../../engine/json-input.js';
import { attemptLimitsOf } from '../attempt-limits.js';
import type { App, ServerContext } from '../context.js';
import { answerCall, CallbackBody, contentOfCall } from '../contract/callbacks.js';
import { addRoute } from '../routing.js';

export function callbackRoutes(app: App, context: ServerContext): void {
  const { callbacks, clock } = context;
  const limits = attemptLimitsOf(context);
  addRoute(app, contentOfCall, async ({ params, reply }) => {
    const bytes = await callbacks.content(params.token, asDigest(params.digest));
    reply.header('cache-control', 'private, no-store');
    return reply.type('application/octet-stream').send(Buffer.from(bytes));
  });
  app.register(async (scope: App) => {
    // the signature covers the body byte by byte, so it must not be read as JSON first
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
    addRoute(scope, answerCall, async ({ params, request }) => {
      const raw = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      callbacks.verify(params.token, request.headers, raw, clock.now());
      const body = bodyOf(raw);
      if (body.status === 'working') {
        const { message, fraction = null } = body;
        callbacks.beat(params.token, message === undefined ? null : { message: clip(message), fraction });
        return {};
      }
      const { problem, outcome } = outcomeOf(body, limits);
      await callbacks.end(params.token, sha256(raw.toString('utf8')), outcome);
      if (problem !== null) throw new VaporaError('agent_protocol', problem);
      return {};
    });
  });
}

type Result = Exclude<ReturnType<typeof bodyOf>, { status: 'working' }>;

/** Throws `input_invalid`. */
function bodyOf(raw: Buffer) {
  const limits = { maxBytes: raw.length, maxDepth: MAX_JSON_DEPTH };
  const parsed = CallbackBody.safeParse(parseJsonInput(raw.toString('utf8'), limits, 'the answer'));
  if (parsed.success) return parsed.data;
  throw new VaporaError('input_invalid', 'the answer has no valid `status`, or not what belongs to it');
}

/** A result that breaks the rules fails the attempt for good, and whoever sent it is told. */
function outcomeOf(
  body: Result,
  limits: Parameters<typeof resultOutcome>[1],
): { readonly problem: string | null; readonly outcome: TaskOutcome } {
  try {
    if (body.status === 'failed') {
      const { message, retryable, log } = body;
      const { log: bytes } = resultOutcome({ log }, limits) as { log: Uint8Array | null };
      const outcome = failedOutcome(retryable ? 'agent_failed' : 'task_failed', message, retryable, bytes);
      return { problem: null, outcome };
    }
    const { status: _, ...result } = body;
    return { problem: null, outcome: resultOutcome(result, limits) };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const problem = `the agent ${clip(error.message)}`;
    return { problem, outcome: failedOutcome('agent_protocol', problem, false, null) };
  }
}
