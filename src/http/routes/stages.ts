import { asDigest } from '../../core/names.js';
import type { App, ServerContext } from '../context.js';
import { approveStage, rejectStage } from '../contract/stages.js';
import { addRoute } from '../routing.js';
import { instanceAnswer } from './instances.js';

export function stageRoutes(app: App, { api }: ServerContext): void {
  addRoute(app, approveStage, async ({ params, body, identity }) => {
    const { comment, digest } = body;
    const more = {
      ...(comment === undefined ? {} : { comment }),
      ...(digest === undefined ? {} : { digest: asDigest(digest) }),
    };
    return instanceAnswer(await api.approve(params.id, params.stage, identity.principal, more));
  });
  addRoute(app, rejectStage, async ({ params, body, identity }) =>
    instanceAnswer(await api.reject(params.id, params.stage, identity.principal, body.reason)),
  );
}
