/** Where agents that were called answer later. Their signature says who they are. */
import { z } from 'zod';
import { Secret } from './agents.js';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Digest } from './shapes.js';

const MAX_MESSAGE = 10_000;

/** What the signed body holds. */
export const CallbackBody = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('working'),
    message: z.string().max(MAX_MESSAGE).optional(),
    fraction: z.number().min(0).max(1).optional(),
  }),
  z.looseObject({ status: z.literal('completed') }),
  z.object({
    status: z.literal('failed'),
    message: z.string().max(MAX_MESSAGE),
    retryable: z.boolean().default(true),
    log: z.string().optional(),
  }),
]);

export const answerCall = endpoint({
  method: 'POST',
  path: `${API_PREFIX}/callbacks/:token`,
  id: 'answerCall',
  tag: 'tasks',
  summary: 'the later answer of an agent that was called',
  description:
    'The body is JSON, signed with the secret of the agent: `{ status: "completed", artifacts?, output?, log? }`, `{ status: "failed", message, retryable?, log? }`, or `{ status: "working", message?, fraction? }` as a sign of life. A result is answered once it is on disk; the same again is answered the same.',
  access: 'open',
  params: z.object({ token: Secret }),
  answer: z.object({}),
});

export const contentOfCall = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/callbacks/:token/content/:digest`,
  id: 'contentOfCall',
  tag: 'tasks',
  summary: 'content of an artifact that came without it, for an agent that was called',
  description: 'The address is a secret of the attempt, and ends with it.',
  access: 'open',
  params: z.object({ token: Secret, digest: Digest }),
  answer: 'application/octet-stream',
});
