/** Counts requests, from their head to the end of their answer or of their connection. */
import { NO_ROUTE, type RequestMeters } from '../observe/request-meters.js';
import type { App } from './context.js';

/** To be added before anything that may turn a request away. */
export function addRequestMetrics(app: App, meters: RequestMeters): void {
  app.server.on('drop', () => meters.dropped());
  app.addHook('onRequest', async ({ method, routeOptions }, reply) => {
    meters.began();
    const { raw } = reply;
    raw.once('close', () => {
      meters.answered({
        method,
        route: routeOptions.url ?? NO_ROUTE,
        status: raw.headersSent ? raw.statusCode : null,
        ms: reply.elapsedTime,
        problem: reply.problemCode,
      });
    });
  });
}
