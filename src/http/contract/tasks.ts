/** What an agent says of a task that it has got. The lease in the path is the task's. */
import { z } from 'zod';
import { Secret } from './agents.js';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Digest, Json } from './shapes.js';

const TASK = `${API_PREFIX}/tasks/:lease`;
const tag = 'tasks';
const MAX_MESSAGE = 10_000;
const MAX_LOG = 256 * 1_024;
const LeaseParams = z.object({ lease: Secret });

const Beat = z.object({
  stop: z.boolean().meta({ description: 'true: stop working on the task, and say so with `fail`' }),
  lease_seconds: z.number().meta({ description: 'from now on' }),
});

export const beatTask = endpoint({
  method: 'POST',
  path: `${TASK}/heartbeat`,
  id: 'beatTask',
  tag,
  summary: 'extend the lease',
  params: LeaseParams,
  answer: Beat,
});

export const tellProgress = endpoint({
  method: 'POST',
  path: `${TASK}/progress`,
  id: 'tellProgress',
  tag,
  summary: 'say how far it is; extends the lease',
  params: LeaseParams,
  body: z.object({ message: z.string().max(MAX_MESSAGE), fraction: z.number().min(0).max(1).optional() }),
  answer: Beat,
});

export const keepStep = endpoint({
  method: 'POST',
  path: `${TASK}/steps`,
  id: 'keepStep',
  tag,
  summary: 'keep the result of a step for later attempts; extends the lease',
  description: 'Answered once it is on disk. A name is kept once in a task: the first value counts.',
  params: LeaseParams,
  body: z.object({ name: z.string().min(1).max(200), value: Json }),
  answer: z.object({}),
});

export const keepContent = endpoint({
  method: 'POST',
  path: `${TASK}/content`,
  id: 'keepContent',
  tag,
  summary: 'hand in the content of an artifact, before the result that names it; extends the lease',
  description: 'The body is the content, as `application/octet-stream`. The result refers to it by `digest`.',
  params: LeaseParams,
  answer: z.object({ digest: Digest, size: z.int() }),
  status: 201,
});

export const readContent = endpoint({
  method: 'GET',
  path: `${TASK}/content/:digest`,
  id: 'readContent',
  tag,
  summary: 'content of an artifact that came without it; extends the lease',
  params: LeaseParams.extend({ digest: Digest }),
  answer: 'application/octet-stream',
});

export const completeTask = endpoint({
  method: 'POST',
  path: `${TASK}/complete`,
  id: 'completeTask',
  tag,
  summary: 'hand in the result',
  description:
    'Answered once it is on disk; the same again is answered the same. An artifact has a `name`, a `kind`, and one of `content` (text, or any JSON value), `content_base64` and `digest`. A result that breaks the rules fails the task for good with `agent_protocol`.',
  params: LeaseParams,
  body: z
    .looseObject({ log: z.string().max(MAX_LOG).optional() })
    .meta({ description: '`{ artifacts?, output?, log? }`' })
    .prefault({}),
  answer: z.object({}),
});

export const failTask = endpoint({
  method: 'POST',
  path: `${TASK}/fail`,
  id: 'failTask',
  tag,
  summary: 'say that the attempt failed, or was stopped',
  params: LeaseParams,
  body: z.object({
    message: z.string().max(MAX_MESSAGE),
    retryable: z.boolean().default(true).meta({ description: '`false`: trying again is useless' }),
    code: z.enum(['agent_failed', 'agent_timeout', 'agent_lost', 'agent_protocol', 'task_failed']).optional(),
    log: z.string().max(MAX_LOG).optional(),
  }),
  answer: z.object({}),
});
