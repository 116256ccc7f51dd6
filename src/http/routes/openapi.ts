import type { App } from '../context.js';
import { getOpenApi } from '../contract/openapi.js';
import { addRoute } from '../routing.js';

export function openApiRoutes(app: App): void {
  addRoute(app, getOpenApi, async () => app.swagger() as unknown as Record<string, unknown>);
}
