/** Instances on the wire. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import {
  Blob,
  Digest,
  Failure,
  InstanceParams,
  InstanceState,
  Json,
  Labels,
  Person,
  Time,
  TimeOrNull,
  WantedName,
} from './shapes.js';

const INSTANCES = `${API_PREFIX}/instances`;
const INSTANCE = `${INSTANCES}/:id`;
const tag = 'instances';

export const Artifact = z
  .object({ stage: z.string(), role: z.string(), name: z.string(), kind: z.string(), ...Blob.shape })
  .meta({ id: 'Artifact' });

const TaskArtifact = z.object({ name: z.string(), kind: z.string(), ...Blob.shape });

const Task = z
  .object({
    role: z.string(),
    state: z.enum(['pending', 'dispatched', 'running', 'completed', 'failed', 'cancelled']),
    attempt: z.int().meta({ description: 'of the current or last attempt, from 1; 0 before the first' }),
    failures: z.int(),
    interruptions: z.int(),
    agent: z.string().nullable(),
    retry_at: TimeOrNull,
    deadline_at: TimeOrNull,
    dispatched_at: TimeOrNull,
    ended_at: TimeOrNull,
    artifacts: z.array(TaskArtifact),
    output: Json,
    error: Failure.nullable(),
    log: Blob.nullable(),
    steps: z.array(z.object({ name: z.string(), value: Json })),
  })
  .meta({ id: 'Task' });

const Approval = z.object({
  state: z.enum(['requested', 'approved', 'rejected', 'expired']),
  requested_at: Time,
  deadline_at: TimeOrNull,
  digest: Digest,
  by: z.string().nullable(),
  decided_at: TimeOrNull,
  comment: z.string().nullable(),
});

const Spent = z.object({ tokens: z.number(), micro_usd: z.number(), ms: z.number() });

const Stage = z
  .object({
    name: z.string(),
    state: z.enum(['pending', 'waiting_approval', 'running', 'completed', 'failed', 'skipped']),
    run: z.int(),
    approval: Approval.nullable(),
    permits: z.array(z.string()),
    block: z
      .object({
        code: z.string(),
        message: z.string(),
        role: z.string().optional(),
        lifts_at: Time.optional().meta({ description: 'when the stage goes on by itself' }),
      })
      .nullable(),
    started_at: TimeOrNull,
    ended_at: TimeOrNull,
    deadline_at: TimeOrNull,
    completion: z.int().nullable(),
    tasks: z.array(Task),
    error: Failure.nullable(),
    compensation: z.object({
      state: z.enum(['none', 'planned', 'running', 'compensated', 'dead_lettered', 'resolved', 'skipped']),
      tasks: z.array(Task),
      reason: z.string().nullable(),
      ended_at: TimeOrNull,
    }),
    spent: Spent.meta({
      description: 'by carrying it out, in all its runs; `ms` is the time that agents were at it',
    }),
    grants: z.int().meta({ description: 'how often its budget was granted again' }),
  })
  .meta({ id: 'Stage' });

const RollbackTarget = z.union([
  z.object({ end: z.enum(['failed', 'cancelled']) }),
  z.object({ end: z.literal('resume'), to: z.string() }),
]);

export const Instance = z
  .object({
    workflow_id: z.string(),
    workflow: z.string(),
    template_hash: Digest,
    state: InstanceState,
    revision: z.int(),
    seq: z.int().meta({ description: 'events so far' }),
    input: Blob,
    initiator: Person,
    labels: Labels,
    created_at: Time,
    updated_at: Time,
    ended_at: TimeOrNull,
    deadline_at: TimeOrNull,
    retry_of: z.string().nullable(),
    stages: z.array(Stage),
    completions: z.int(),
    rollback: z
      .object({ target: RollbackTarget, cause: Failure, planned_at: Time, order: z.array(z.string()) })
      .nullable(),
    error: Failure.nullable(),
    grants: z.int().meta({ description: 'how often the budget of the instance was granted again' }),
    shared_grants: z.object({ from_at: Time, count: z.int() }).optional().meta({
      description: 'how often the shared budget was granted to it again, in the window from then on',
    }),
  })
  .meta({ id: 'Instance' });

export const Summary = z
  .object({
    workflow_id: z.string(),
    workflow: z.string(),
    state: InstanceState,
    initiator: z.string(),
    initiator_groups: z.array(z.string()),
    labels: Labels,
    created_at: Time,
    updated_at: Time,
    ended_at: TimeOrNull,
    error: Failure.nullable(),
    dead_letters: z.int(),
  })
  .meta({ id: 'InstanceSummary' });

const LABEL_FILTERS = 64;
export const listInstances = endpoint({
  method: 'GET',
  path: INSTANCES,
  id: 'listInstances',
  tag,
  summary: 'list instances, the latest first',
  description:
    'Only those that the caller may read. A page may hold fewer than `limit` though there are more: go by `next`.',
  query: z.object({
    state: InstanceState.optional(),
    workflow: z.string().max(256).optional(),
    label: z
      .union([z.string().max(600), z.array(z.string().max(600)).max(LABEL_FILTERS)])
      .optional()
      .meta({ description: '`key=value`; repeatable, all must match' }),
    initiator: z.string().max(256).optional().meta({ description: 'name of the user who started it' }),
    created_from: Time.optional().meta({ description: 'started then or later' }),
    created_before: Time.optional().meta({ description: 'started before' }),
    dead_letters: z.stringbool().optional().meta({ description: 'only those with open dead letters' }),
    limit: z.coerce.number().int().min(1).max(1_000).default(50),
    cursor: z.string().max(2_000).optional().meta({ description: '`next` of the page before' }),
  }),
  answer: z.object({ instances: z.array(Summary), next: z.string().nullable() }),
});

export const startInstance = endpoint({
  method: 'POST',
  path: INSTANCES,
  id: 'startInstance',
  tag,
  summary: 'start an instance',
  description:
    'With an `id`, or an `Idempotency-Key` header, the same start happens once: `is_new` says whether this was the first. Answers once the start is on disk.',
  body: z.object({
    workflow: z.string().max(256),
    input: Json.optional(),
    labels: Labels.optional(),
    id: WantedName.optional(),
  }),
  answer: z.object({ workflow_id: z.string(), is_new: z.boolean() }),
  status: 201,
});

export const getInstance = endpoint({
  method: 'GET',
  path: INSTANCE,
  id: 'getInstance',
  tag,
  summary: 'show an instance',
  params: InstanceParams,
  answer: Instance,
});

export const restOfInstance = endpoint({
  method: 'GET',
  path: `${INSTANCE}/rest`,
  id: 'restOfInstance',
  tag,
  summary: 'wait until an instance comes to rest',
  description:
    'Rest is: ended, waiting for a person, or blocked, with nothing under way. Answers after `wait` seconds at the latest; `is_resting` says whether it came to rest.',
  params: InstanceParams,
  query: z.object({ wait: z.coerce.number().min(0).max(60).default(20) }),
  answer: z.object({ is_resting: z.boolean(), instance: Instance }),
});

export const cancelInstance = endpoint({
  method: 'POST',
  path: `${INSTANCE}/cancel`,
  id: 'cancelInstance',
  tag,
  summary: 'end an instance and take back what it did',
  params: InstanceParams,
  body: z
    .object({
      compensate: z.boolean().default(true).meta({ description: '`false` leaves everything as it is' }),
    })
    .prefault({}),
  answer: Instance,
});

export const retryInstance = endpoint({
  method: 'POST',
  path: `${INSTANCE}/retry`,
  id: 'retryInstance',
  tag,
  summary: 'run an instance again from the stage that failed',
  description: 'An ended instance gets a successor; the answer is the instance that goes on.',
  params: InstanceParams,
  answer: Instance,
});

export const resumeInstance = endpoint({
  method: 'POST',
  path: `${INSTANCE}/resume`,
  id: 'resumeInstance',
  tag,
  summary: 'have a blocked instance looked at again',
  params: InstanceParams,
  answer: Instance,
});

export const rollbackInstance = endpoint({
  method: 'POST',
  path: `${INSTANCE}/rollback`,
  id: 'rollbackInstance',
  tag,
  summary: 'take an instance back, wholly or down to a stage',
  params: InstanceParams,
  body: z
    .object({
      to: WantedName.optional().meta({
        description: 'goes on after this stage; without it the instance ends cancelled',
      }),
    })
    .prefault({}),
  answer: Instance,
});

export const previewRollback = endpoint({
  method: 'GET',
  path: `${INSTANCE}/rollback`,
  id: 'previewRollback',
  tag,
  summary: 'show what a rollback would take back',
  params: InstanceParams,
  query: z.object({ to: WantedName.optional() }),
  answer: z.object({
    target: RollbackTarget,
    entries: z.array(
      z.object({ stage: z.string(), agents: z.array(z.string()), skip: z.string().nullable() }),
    ),
  }),
});
