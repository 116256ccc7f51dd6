/** All routes, one file a resource. */

import type { App, ServerContext } from './context.js';
import { agentRoutes } from './routes/agents.js';
import { artifactRoutes } from './routes/artifacts.js';
import { auditRoutes } from './routes/audit.js';
import { backupRoutes } from './routes/backup.js';
import { callbackRoutes } from './routes/callbacks.js';
import { errorRoutes } from './routes/errors.js';
import { eventRoutes } from './routes/events.js';
import { healthRoutes } from './routes/health.js';
import { instanceRoutes } from './routes/instances.js';
import { letterRoutes } from './routes/letters.js';
import { openApiRoutes } from './routes/openapi.js';
import { policyRoutes } from './routes/policies.js';
import { scheduleRoutes } from './routes/schedules.js';
import { stageRoutes } from './routes/stages.js';
import { taskRoutes } from './routes/tasks.js';
import { templateRoutes } from './routes/templates.js';
import { tokenRoutes } from './routes/tokens.js';
import { webhookRoutes } from './routes/webhooks.js';
import { whatIfRoutes } from './routes/what-if.js';

export const ROUTES: readonly ((app: App, context: ServerContext) => void)[] = [
  templateRoutes,
  instanceRoutes,
  stageRoutes,
  eventRoutes,
  artifactRoutes,
  letterRoutes,
  auditRoutes,
  backupRoutes,
  agentRoutes,
  taskRoutes,
  callbackRoutes,
  scheduleRoutes,
  webhookRoutes,
  policyRoutes,
  whatIfRoutes,
  tokenRoutes,
  healthRoutes,
  openApiRoutes,
  errorRoutes,
];
