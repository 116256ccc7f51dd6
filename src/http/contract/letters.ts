/** Dead letters: compensations that ran out of attempts and wait for an operator. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Instance } from './instances.js';
import { InstanceParams, Time, WantedName } from './shapes.js';

const LETTERS = `${API_PREFIX}/dead-letters`;
const tag = 'dead letters';
const LetterParams = InstanceParams.extend({ stage: WantedName });

export const Letter = z
  .object({
    id: z.string(),
    workflow_id: z.string(),
    workflow: z.string(),
    stage: z.string(),
    code: z.string(),
    message: z.string(),
    attempts: z.int(),
    at: Time,
  })
  .meta({ id: 'DeadLetter' });

export const listDeadLetters = endpoint({
  method: 'GET',
  path: LETTERS,
  id: 'listDeadLetters',
  tag,
  summary: 'list open dead letters of the instances that the caller may read',
  description:
    'Those of the newest instance first. A page may hold fewer than `limit` though there are more: go by `next`.',
  query: z.object({
    workflow: z.string().max(256).optional(),
    instance: WantedName.optional().meta({ description: 'id of the instance' }),
    limit: z.coerce.number().int().min(1).max(1_000).default(50),
    cursor: z.string().max(4_000).optional().meta({ description: '`next` of the page before' }),
  }),
  answer: z.object({ dead_letters: z.array(Letter), next: z.string().nullable() }),
});

export const retryDeadLetter = endpoint({
  method: 'POST',
  path: `${LETTERS}/:id/:stage/retry`,
  id: 'retryDeadLetter',
  tag,
  summary: 'try to take the stage back again',
  params: LetterParams,
  answer: Instance,
});

export const resolveDeadLetter = endpoint({
  method: 'POST',
  path: `${LETTERS}/:id/:stage/resolve`,
  id: 'resolveDeadLetter',
  tag,
  summary: 'close a dead letter that was dealt with by hand',
  params: LetterParams,
  body: z.object({ reason: z.string().min(1).max(10_000) }),
  answer: Instance,
});
