/** The pages of error codes, which problems link to. */
import { z } from 'zod';
import { endpoint } from './endpoint.js';

export const explainError = endpoint({
  method: 'GET',
  path: '/errors/:code',
  id: 'explainError',
  tag: 'operation',
  summary: 'what an error code means, and what to do',
  access: 'open',
  params: z.object({ code: z.string().regex(/^[a-z_]{1,40}$/) }),
  answer: 'text/markdown',
});
