import type { App, ServerContext } from '../context.js';
import { deliverWebhook } from '../contract/webhooks.js';
import { addRoute } from '../routing.js';

export function webhookRoutes(app: App, { triggers }: ServerContext): void {
  app.register(async (scope: App) => {
    // the signature covers the body byte by byte, so it must not be read as JSON first
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
    addRoute(scope, deliverWebhook, async ({ params, request }) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const started = await triggers.receive(params.workflow, { headers: request.headers, body });
      return { workflow_id: started?.id ?? null, is_new: started?.isNew ?? false };
    });
  });
}
