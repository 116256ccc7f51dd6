import { Readable } from 'node:stream';
import type { WorkflowApi } from '../../core/api.js';
import type { App, ServerContext } from '../context.js';
import { exportAudit, verifyAudit } from '../contract/audit.js';
import type { Identity } from '../identity.js';
import { addRoute } from '../routing.js';

export function auditRoutes(app: App, context: ServerContext): void {
  const { api, guard } = context;
  // a broken history can be looked into too, and the state of the instance may be nowhere else
  const checkRead = async (identity: Identity, id: string): Promise<void> =>
    guard.checkRead(identity, await context.summary(id));
  addRoute(app, verifyAudit, async ({ params, identity }) => {
    await checkRead(identity, params.id);
    const { id, entries, events, head, broken } = await api.verifyAudit(params.id);
    return { workflow_id: id, entries, events, head, broken };
  });
  addRoute(app, exportAudit, async ({ params, identity, reply }) => {
    await checkRead(identity, params.id);
    return reply.type('application/x-ndjson').send(Readable.from(linesOf(api, params.id)));
  });
}

async function* linesOf(api: WorkflowApi, id: string): AsyncIterable<string> {
  for await (const entry of api.entries(id)) yield `${JSON.stringify(entry)}\n`;
}
