import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { remoteTaskMessage } from '../../agent/task-message.js';
import { VaporaError } from '../../core/errors.js';
import type { Delivery, RemoteDesk } from '../../transport/remote-desk.js';
import type { App, ServerContext } from '../context.js';
import {
  type AgentReport,
  drainAgent,
  listAgents,
  pollTasks,
  registerAgent,
  removeAgent,
} from '../contract/agents.js';
import { toWire } from '../contract/wire.js';
import { keyIn } from '../idempotency-key.js';
import type { Identity } from '../identity.js';
import { addRoute } from '../routing.js';
import { CallerStanding } from '../standing.js';

export function agentRoutes(app: App, context: ServerContext): void {
  const { guard, agents } = context;
  addRoute(app, listAgents, async ({ identity }) => {
    guard.checkEngine(identity, 'read-agents');
    const reports = await agents.agents();
    return { agents: reports.map((report) => toWire(report) as z.output<typeof AgentReport>) };
  });
  addRoute(app, registerAgent, async ({ body, identity, request }) => {
    const { name, roles, capacity, version = null, holding } = body;
    guard.checkRegister(identity, name, roles);
    const desk = deskOf(context);
    const unique = [...new Set(roles)];
    const { session, kept } = await desk.register(
      ownerOf(identity),
      { name, roles: unique, capacity, version, key: keyIn(request.headers) },
      holding.map(({ task_id, lease }) => ({ taskId: task_id, lease })),
    );
    return { session, lease_seconds: desk.leaseMs / 1_000, kept: [...kept] };
  });
  addRoute(app, pollTasks, async ({ params, body, identity, request, reply }) => {
    const caller = new CallerStanding(context, request.headers, identity);
    const desk = deskOf(context);
    const { deliveries, stop } = await desk.poll(params.session, ownerOf(identity), {
      free: body.free,
      waitMs: body.wait * 1_000,
      gone: goneSignal(reply),
      confirm: () => caller.confirm(),
    });
    const tasks = await Promise.all(deliveries.map((delivery) => taskOf(delivery, desk.leaseMs)));
    return { tasks, stop: [...stop] };
  });
  addRoute(app, drainAgent, async ({ params, identity }) => {
    deskOf(context).drain(params.session, ownerOf(identity));
    return {};
  });
  addRoute(app, removeAgent, async ({ params, identity }) => {
    deskOf(context).leave(params.session, ownerOf(identity));
    return {};
  });
}

/** Throws `resource_unknown` where agents are not let in. */
export function deskOf({ remote }: ServerContext): RemoteDesk {
  if (remote !== null) return remote.desk;
  throw new VaporaError('resource_unknown', 'this engine lets no agents in over the network');
}

/** Whoever registers an agent is the only one to speak for it. */
export function ownerOf({ kind, principal }: Identity): string {
  return `${kind}:${principal.user}`;
}

/** Aborted when whoever asked has hung up. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  return gone.signal;
}

async function taskOf({ lease, order, content }: Delivery, leaseMs: number) {
  // by the lease and the digest
  const message = await remoteTaskMessage(order, content, () => ({}));
  const { type, task_id, workflow_id, stage_name, role, attempt, idempotency_key } = order;
  const ids = { type, task_id, workflow_id, stage_name, role, attempt, idempotency_key };
  return { lease, lease_seconds: leaseMs / 1_000, ...message, ...ids };
}
