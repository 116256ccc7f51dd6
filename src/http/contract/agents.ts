/** Agents: who is there, and how those that call over the network come and go. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Name, TimeOrNull } from './shapes.js';

const AGENTS = `${API_PREFIX}/agents`;
const SESSION = `${AGENTS}/:session`;
const tag = 'agents';
const MAX_ROLES = 100;
const MAX_CAPACITY = 1_000;
const MAX_POLL_SECONDS = 50;

export const Secret = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/, 'as the server gave it');
const SessionParams = z.object({ session: Secret });

export const AgentReport = z
  .object({
    name: z.string(),
    roles: z.array(z.string()),
    capacity: z.int().meta({ description: 'tasks at once' }),
    in_flight: z.int(),
    success_rate: z.number(),
    score: z
      .number()
      .meta({ description: '`success_rate / (1 + load)`: the best one of a role gets its next task' }),
    is_remote: z.boolean().meta({ description: 'it calls over the network' }),
    version: z.string().nullable(),
    seen_at: TimeOrNull.meta({ description: 'when it was last heard of; null: it is part of the engine' }),
  })
  .meta({ id: 'Agent' });

export const listAgents = endpoint({
  method: 'GET',
  path: AGENTS,
  id: 'listAgents',
  tag,
  summary: 'agents that are there now, and how busy they are',
  answer: z.object({ agents: z.array(AgentReport) }),
});

const Holding = z.object({ task_id: z.string().max(1_000), lease: Secret });

export const registerAgent = endpoint({
  method: 'POST',
  path: AGENTS,
  id: 'registerAgent',
  tag,
  summary: 'register an agent that polls for tasks',
  description:
    '`holding` lists what the agent is still working on, after the server was restarted; `kept` answers the leases that go on. The others are lost: stop working on them.',
  body: z.object({
    name: Name,
    roles: z.array(Name).min(1).max(MAX_ROLES),
    capacity: z.int().min(1).max(MAX_CAPACITY).default(1).meta({ description: 'tasks at once' }),
    version: z.string().max(100).optional(),
    holding: z.array(Holding).max(MAX_CAPACITY).default([]),
  }),
  answer: z.object({
    session: z.string().meta({ description: 'names the registration in later calls; a secret' }),
    lease_seconds: z.number().meta({ description: 'how long the agent may be silent' }),
    kept: z.array(z.string()),
  }),
  status: 201,
});

/** The same JSON as a command gets on its stdin, and its lease. */
const Task = z
  .looseObject({
    lease: z.string().meta({ description: 'names the task in later calls; a secret' }),
    lease_seconds: z.number(),
    type: z.enum(['task', 'compensation']),
    task_id: z.string(),
    workflow_id: z.string(),
    stage_name: z.string(),
    role: z.string(),
    attempt: z.int(),
    idempotency_key: z.string(),
  })
  .meta({ id: 'AgentTask' });

export const pollTasks = endpoint({
  method: 'POST',
  path: `${SESSION}/poll`,
  id: 'pollTasks',
  tag,
  summary: 'wait for tasks',
  description:
    'Answers as soon as there is a task or something to stop, or with nothing after `wait` seconds. A sign of life of the agent while it lasts.',
  params: SessionParams,
  body: z
    .object({
      free: z.int().min(0).max(MAX_CAPACITY).default(1).meta({ description: 'tasks to take at most' }),
      wait: z.number().min(0).max(MAX_POLL_SECONDS).default(20),
    })
    .prefault({}),
  answer: z.object({
    tasks: z.array(Task),
    stop: z.array(z.string()).meta({ description: 'leases of tasks to stop working on' }),
  }),
});

export const drainAgent = endpoint({
  method: 'POST',
  path: `${SESSION}/drain`,
  id: 'drainAgent',
  tag,
  summary: 'take no further tasks, and finish those under way',
  params: SessionParams,
  answer: z.object({}),
});

export const removeAgent = endpoint({
  method: 'DELETE',
  path: SESSION,
  id: 'removeAgent',
  tag,
  summary: 'leave; what the agent is still working on is lost to it',
  params: SessionParams,
  answer: z.object({}),
});
