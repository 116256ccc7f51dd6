/** Other policies, put to what was decided. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Decision, Time } from './shapes.js';

const MIB = 1_024 * 1_024;

const Flip = z.object({
  at: Time,
  count: z.int().meta({ description: 'how often the same was asked about then' }),
  request: z.record(z.string(), z.unknown()),
  was: Decision,
  would_be: Decision,
});

export const whatIfPolicies = endpoint({
  method: 'POST',
  path: `${API_PREFIX}/policies/what-if`,
  id: 'whatIfPolicies',
  tag: 'policies',
  summary: 'put other policies to what was decided, and show what they would answer otherwise',
  description: 'Changes nothing. Decisions are recorded for 30 days.',
  body: z.object({
    files: z
      .array(z.object({ name: z.string().max(255), text: z.string() }))
      .max(2_000)
      .meta({ description: 'of the directory: `*.cedar`, `*.cedarschema`, `entities.json`' }),
    since: Time,
  }),
  answer: z
    .object({
      requests: z.int(),
      decisions: z.int().meta({ description: 'that the requests stand for' }),
      newly_denied: z.int(),
      newly_allowed: z.int(),
      is_cut: z.boolean().meta({ description: 'not all that is recorded was looked at' }),
      flips: z.array(Flip).meta({ description: 'the oldest 1000' }),
    })
    .meta({ id: 'WhatIf' }),
  maxBodyBytes: 20 * MIB,
});
