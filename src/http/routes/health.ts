import { VaporaError } from '../../core/errors.js';
import type { App, ServerContext } from '../context.js';
import { getHealth, getMetrics, getReady } from '../contract/health.js';
import { addRoute } from '../routing.js';

export function healthRoutes(app: App, context: ServerContext): void {
  addRoute(app, getHealth, async () => context.health());
  addRoute(app, getReady, async ({ reply }) => {
    const report = context.ready();
    if (report.ready) return report;
    reply.code(503);
    return report;
  });
  addRoute(app, getMetrics, async ({ identity, reply }) => {
    context.guard.checkEngine(identity, 'read-metrics');
    const { metrics } = context;
    if (metrics === null) throw new VaporaError('resource_unknown', 'this server counts nothing');
    return reply.type(metrics.contentType).send(await metrics.text());
  });
}
