/** The policies in force, and what they say to a request. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Particular } from './problem.js';
import { Decision, Digest } from './shapes.js';

const tag = 'policies';
const MAX_REF = 16_384;

export const showPolicies = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/policies`,
  id: 'showPolicies',
  tag,
  summary: 'the policies in force',
  answer: z.object({
    is_enforcing: z
      .boolean()
      .meta({ description: '`false`: none are configured, and everything is allowed' }),
    policy_set: Digest.nullable(),
    policies: z.array(
      z.object({
        id: z.string(),
        effect: z.enum(['permit', 'forbid']),
        file: z.string(),
        line: z.int(),
        annotations: z.record(z.string(), z.string()),
      }),
    ),
    problems: z.array(Particular).meta({ description: 'what is odd about them, though they are in force' }),
  }),
});

export const testPolicies = endpoint({
  method: 'POST',
  path: `${API_PREFIX}/policies/test`,
  id: 'testPolicies',
  tag,
  summary: 'ask the policies in force, without doing anything',
  description:
    'The parts are written as for `vapora policy test`. A stage that only one workflow has is taken as of that one; others need theirs: `Stage::"deploy" in Workflow::"release"`.',
  body: z.object({
    principal: z.string().max(MAX_REF),
    action: z.string().max(MAX_REF),
    resource: z.string().max(MAX_REF),
    workflow: z.string().max(256).optional().meta({
      description:
        'whose stage or instance it is, where the resource does not say and several could be meant',
    }),
    context: z.record(z.string(), z.unknown()).optional(),
  }),
  answer: Decision.extend({
    summary: z.string(),
    request: z.record(z.string(), z.unknown()).meta({ description: 'what was asked in full' }),
    near_misses: z.array(
      z.object({
        id: z.string(),
        file: z.string(),
        line: z.int(),
        column: z.int(),
        mismatch: z.array(z.enum(['principal', 'resource'])),
      }),
    ),
  }),
});
