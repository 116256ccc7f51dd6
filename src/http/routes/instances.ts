import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { WorkflowInstance } from '../../core/instance.js';
import type { InstancePage, InstanceQuery, InstanceSummary } from '../../core/ports.js';
import type { App, ServerContext } from '../context.js';
import {
  cancelInstance,
  getInstance,
  type Instance,
  listInstances,
  previewRollback,
  restOfInstance,
  resumeInstance,
  retryInstance,
  rollbackInstance,
  type Summary,
  startInstance,
} from '../contract/instances.js';
import { instanceToWire, summaryToWire } from '../contract/wire.js';
import { keyIn } from '../idempotency-key.js';
import type { Identity } from '../identity.js';
import { addRoute } from '../routing.js';
import { CallerStanding, ReaderStanding } from '../standing.js';

export function instanceRoutes(app: App, context: ServerContext): void {
  const { api } = context;
  addRoute(app, listInstances, async ({ query, identity }) => {
    const { state, workflow, label, initiator, created_from, created_before, dead_letters, limit, cursor } =
      query;
    const labels = label === undefined ? [] : [label].flat();
    const page = await readablePage(context, identity, {
      limit,
      ...(state === undefined ? {} : { status: state }),
      ...(workflow === undefined ? {} : { template: workflow }),
      ...(labels.length === 0 ? {} : { labels }),
      ...(initiator === undefined ? {} : { initiator }),
      ...(created_from === undefined ? {} : { createdFrom: Date.parse(created_from) }),
      ...(created_before === undefined ? {} : { createdBefore: Date.parse(created_before) }),
      ...(dead_letters === true ? { withDeadLetters: true } : {}),
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { instances: page.items.map(summaryAnswer), next: page.next };
  });
  addRoute(app, startInstance, async ({ body, identity, request, reply }) => {
    const { workflow, input, labels } = body;
    const id = body.id ?? idOfKey(request.headers, identity);
    const { principal: initiator } = identity;
    const started = await api.start({
      workflow,
      initiator,
      input,
      ...(labels === undefined ? {} : { labels }),
      ...(id === undefined ? {} : { id }),
    });
    reply.header('location', `/api/v1/instances/${encodeURIComponent(started.id)}`);
    return { workflow_id: started.id, is_new: started.isNew };
  });
  addRoute(app, getInstance, async ({ params, identity }) =>
    instanceAnswer(await readInstance(context, identity, params.id)),
  );
  addRoute(app, previewRollback, async ({ params, query, identity }) => {
    await readInstance(context, identity, params.id);
    const { target, entries } = await api.previewRollback(params.id, query.to);
    return { target, entries: entries.map(({ agents, ...entry }) => ({ ...entry, agents: [...agents] })) };
  });
  addRestRoute(app, context);
  addWishRoutes(app, context);
}

function addWishRoutes(app: App, { api }: ServerContext): void {
  addRoute(app, cancelInstance, async ({ params, body, identity }) =>
    instanceAnswer(await api.cancel(params.id, identity.principal, { compensate: body.compensate })),
  );
  addRoute(app, retryInstance, async ({ params, identity }) =>
    instanceAnswer(await api.retry(params.id, identity.principal)),
  );
  addRoute(app, resumeInstance, async ({ params, identity }) =>
    instanceAnswer(await api.resume(params.id, identity.principal)),
  );
  addRoute(app, rollbackInstance, async ({ params, body, identity }) =>
    instanceAnswer(await api.rollback(params.id, identity.principal, body.to)),
  );
}

function addRestRoute(app: App, context: ServerContext): void {
  addRoute(app, restOfInstance, async ({ params, query, identity, request }) => {
    const standing = new ReaderStanding(
      context,
      new CallerStanding(context, request.headers, identity),
      params.id,
    );
    await readInstance(context, identity, params.id);
    let cancel: () => void = () => {};
    const late = new Promise<null>((resolve) => {
      cancel = context.clock.after(query.wait * 1_000, () => resolve(null));
    });
    const resting = context.api.untilRest(params.id);
    // it may still be rejected when nobody waits for it any more
    resting.catch(() => undefined);
    const rest = await Promise.race([resting, late]).finally(cancel);
    await standing.confirm();
    const instance = rest ?? (await context.api.get(params.id));
    return { is_resting: rest !== null, instance: instanceAnswer(instance) };
  });
}

export function instanceAnswer(instance: WorkflowInstance): z.output<typeof Instance> {
  return instanceToWire(instance) as z.output<typeof Instance>;
}

export function summaryAnswer(summary: InstanceSummary): z.output<typeof Summary> {
  return summaryToWire(summary) as z.output<typeof Summary>;
}

/** Throws `instance_unknown`, `unauthorized`. */
export async function readInstance(
  { api, guard }: ServerContext,
  identity: Identity,
  id: string,
): Promise<WorkflowInstance> {
  const instance = await api.get(id);
  guard.checkRead(identity, instance);
  return instance;
}

/** Summaries that the policies are asked about for one answer, beyond what it may hold: a list of what one may not read has an end too. */
const MAX_ASKED = 200;

/** As a store's: it may be short though there is more. */
export async function readablePage(
  { api, guard }: ServerContext,
  identity: Identity,
  query: InstanceQuery,
): Promise<InstancePage> {
  const rows = guard.readRows(identity);
  const known = new Map<string, boolean>();
  const mayRead = (item: InstanceSummary): boolean => {
    const may = known.get(item.id) ?? rows.mayRead(item);
    known.set(item.id, may);
    return may;
  };
  const items: InstanceSummary[] = [];
  let cursor = query.cursor;
  for (let asked = 0; ; ) {
    const wanted = query.limit - items.length;
    const list = (limit: number) =>
      api.list({ ...query, limit, ...(cursor === undefined ? {} : { cursor }) });
    // who has seen little so far goes on in one large step: many small ones would cost far more
    let limit = asked === 0 ? wanted : Math.max(wanted, MAX_ASKED - asked);
    let page = await list(limit);
    if (page.items.filter(mayRead).length > wanted) {
      limit = wanted;
      page = await list(limit);
    }
    items.push(...page.items.filter(mayRead));
    asked += page.items.length;
    const isShort = page.items.length < limit;
    if (isShort || page.next === null || items.length === query.limit || asked >= MAX_ASKED) {
      rows.end();
      return { items, next: page.next };
    }
    cursor = page.next;
  }
}

/** The same key of the same caller is the same instance, so the start happens once. Throws `input_invalid`. */
function idOfKey(headers: IncomingHttpHeaders, { principal }: Identity): string | undefined {
  const key = keyIn(headers);
  if (key === null) return undefined;
  const hash = createHash('sha256')
    .update(JSON.stringify([principal.user, key]))
    .digest('hex');
  return `key-${hash.slice(0, 40)}`;
}
