import type { App, ServerContext } from '../context.js';
import { getHealth, getReady } from '../contract/health.js';
import { addRoute } from '../routing.js';

export function healthRoutes(app: App, context: ServerContext): void {
  addRoute(app, getHealth, async () => context.health());
  addRoute(app, getReady, async ({ reply }) => {
    const report = context.ready();
    if (report.ready) return report;
    reply.code(503);
    return report;
  });
}
