import type { AttemptLimits } from '../../agent/limits.js';
import { checkOutput, clip, failedOutcome, ProtocolError } from '../../agent/outcome.js';
import { remoteOutcome } from '../../agent/remote-result.js';
import { VaporaError } from '../../core/errors.js';
import { sha256 } from '../../engine/digest.js';
import type { Said } from '../../transport/remote-attempt.js';
import { attemptLimitsOf } from '../attempt-limits.js';
import type { App, ServerContext } from '../context.js';
import {
  beatTask,
  completeTask,
  failTask,
  keepContent,
  keepStep,
  readContent,
  tellProgress,
} from '../contract/tasks.js';
import { addRoute } from '../routing.js';
import { deskOf, ownerOf } from './agents.js';

export function taskRoutes(app: App, context: ServerContext): void {
  addWordRoutes(app, context);
  addContentRoutes(app, context);
  addResultRoutes(app, context);
}

function addWordRoutes(app: App, context: ServerContext): void {
  const limits = attemptLimitsOf(context);
  addRoute(app, beatTask, async ({ params, identity }) => {
    const desk = deskOf(context);
    const { stop } = desk.beat(params.lease, ownerOf(identity), null);
    return { stop, lease_seconds: desk.leaseMs / 1_000 };
  });
  addRoute(app, tellProgress, async ({ params, body, identity }) => {
    const desk = deskOf(context);
    const progress = { message: clip(body.message), fraction: body.fraction ?? null };
    const { stop } = desk.beat(params.lease, ownerOf(identity), progress);
    return { stop, lease_seconds: desk.leaseMs / 1_000 };
  });
  addRoute(app, keepStep, async ({ params, body, identity }) => {
    const value = refusing(() => checkOutput(body.value, limits, `a value of step \`${body.name}\``));
    await deskOf(context).step(params.lease, ownerOf(identity), { name: body.name, value });
    return {};
  });
}

function addContentRoutes(app: App, context: ServerContext): void {
  const { maxArtifactBytes } = context.limits;
  app.register(async (scope: App) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) =>
      done(null, body),
    );
    addRoute(
      scope,
      { ...keepContent, maxBodyBytes: maxArtifactBytes },
      async ({ params, identity, request }) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const desk = deskOf(context);
        const { digest, size } = await desk.keep(params.lease, ownerOf(identity), body);
        return { digest, size };
      },
    );
  });
  addRoute(app, readContent, async ({ params, identity, reply }) => {
    const bytes = await deskOf(context).content(params.lease, ownerOf(identity), params.digest);
    return reply.type('application/octet-stream').send(Buffer.from(bytes));
  });
}

function addResultRoutes(app: App, context: ServerContext): void {
  const limits = attemptLimitsOf(context);
  addRoute(app, completeTask, async ({ params, body, identity }) => {
    const { log, ...result } = body;
    const { lease } = params;
    const desk = deskOf(context);
    let problem: string | null = null;
    await desk.end(lease, ownerOf(identity), saidOf('completed', body), ({ order, kept }) => {
      try {
        return remoteOutcome(result, logBytes(log, limits), limits, (digest) => kept.get(digest));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        problem = `agent \`${order.agent}\` ${clip(error.message)}`;
        return failedOutcome('agent_protocol', problem, false, logBytes(log, limits));
      }
    });
    if (problem !== null) throw new VaporaError('agent_protocol', problem);
    return {};
  });
  addRoute(app, failTask, async ({ params, body, identity }) => {
    const { message, retryable, log } = body;
    const code = body.code ?? (retryable ? 'agent_failed' : 'task_failed');
    const said = saidOf('failed', body);
    await deskOf(context).end(params.lease, ownerOf(identity), said, ({ order }) =>
      failedOutcome(code, `agent \`${order.agent}\` failed: ${message}`, retryable, logBytes(log, limits)),
    );
    return {};
  });
}

function saidOf(status: Said['status'], body: unknown): Said {
  return { status, digest: sha256(JSON.stringify(body)) };
}

/** The end of the log, as with every agent. */
function logBytes(log: string | undefined, { maxLogBytes }: AttemptLimits): Uint8Array | null {
  return log === undefined ? null : new Uint8Array(Buffer.from(log).subarray(-maxLogBytes));
}

function refusing<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw error instanceof ProtocolError ? new VaporaError('agent_protocol', error.message) : error;
  }
}
