/** Small real instances for the stores' tests: every state in here is folded by the core from real events. */
import type { WorkflowEvent } from '../core/events.js';
import { applyEntry } from '../core/evolve.js';
import type { Decision } from '../core/instance.js';
import { asDigest, asInstanceId, type InstanceId } from '../core/names.js';
import type { Clock, Commit, StoredInstance, WorkflowStore } from '../core/ports.js';
import { DEFAULT_COMPENSATION_RETRY, DEFAULT_RETRY, type WorkflowTemplate } from '../core/template.js';

const ALLOW: Decision = {
  effect: 'allow',
  policies: [],
  reason: 'no policies: allow-all',
  errors: [],
  policySet: null,
};

export const TEMPLATE: WorkflowTemplate = {
  name: 'деплой',
  hash: asDigest('ab'.repeat(32)),
  trigger: 'manual',
  stages: [
    {
      name: 'build',
      agents: ['builder'],
      parallel: false,
      maxParallel: 1,
      approvalRequired: false,
      approvalTimeoutMs: null,
      onApprovalTimeout: 'reject',
      compensationAgents: ['builder'],
      needs: [],
      timeoutMs: null,
      retry: DEFAULT_RETRY,
      compensationRetry: DEFAULT_COMPENSATION_RETRY,
      compensationTimeoutMs: 1_000,
      compensateFailed: 'completed_tasks',
      irreversible: false,
      budget: null,
    },
  ],
  timeoutMs: null,
  onDeny: 'block',
  sagaParallelism: 1,
  budget: null,
  onBreach: 'pause',
};

/** A clock of this test process. Times of instances are given by hand. */
export function testClock(): Clock {
  return {
    now: () => Date.now(),
    after: (delayMs, call) => {
      const timer = setTimeout(call, delayMs);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    newId: () => Math.random().toString(36).slice(2),
  };
}

/** A commit as an engine makes it: the state after the events, folded from the state before. */
export function commit(
  id: InstanceId,
  previous: StoredInstance | null,
  at: number,
  events: readonly WorkflowEvent[],
): Commit {
  const revision = (previous?.instance.revision ?? 0) + 1;
  const firstSeq = (previous?.instance.seq ?? 0) + 1;
  const entry = { instance: id, revision, firstSeq, at, events };
  const next = applyEntry(TEMPLATE, previous?.instance ?? null, entry);
  return { previous, next, at, events, charge: null };
}

export interface Birth {
  readonly at?: number;
  readonly labels?: readonly (readonly [string, string])[];
  readonly template?: string;
  readonly user?: string;
  readonly deadlineAt?: number;
}

export function creation(name: string, birth: Birth = {}): Commit {
  const { at = 1_000, labels = [], template = TEMPLATE.name, user = 'ann', deadlineAt = null } = birth;
  return commit(asInstanceId(name), null, at, [
    {
      type: 'workflow_created',
      template,
      templateHash: TEMPLATE.hash,
      input: { digest: asDigest('cd'.repeat(32)), size: 2, inline: '{}' },
      initiator: { user, groups: ['ops'] },
      labels,
      deadlineAt,
      retryOf: null,
      decision: ALLOW,
    },
    { type: 'workflow_started' },
  ]);
}

export function note(previous: StoredInstance, text = 'x'): Commit {
  return commit(previous.instance.id, previous, previous.instance.updatedAt + 1, [
    { type: 'action_authorized', action: text, by: { user: 'ann', groups: [] }, decision: ALLOW },
  ]);
}

/** Nothing goes on in it from then on. */
export function waiting(previous: StoredInstance): Commit {
  return commit(previous.instance.id, previous, previous.instance.updatedAt + 1, [
    { type: 'workflow_waiting' },
  ]);
}

export function completion(previous: StoredInstance): Commit {
  return commit(previous.instance.id, previous, previous.instance.updatedAt + 1, [
    { type: 'workflow_completed' },
  ]);
}

/** Ends failed, with one compensation that an operator has to look at. */
export function deadLettered(previous: StoredInstance): Commit {
  const error = { code: 'agent_failed', message: 'kaputt' } as const;
  const { id, updatedAt } = previous.instance;
  return commit(id, previous, updatedAt + 1, [
    { type: 'stage_authorized', stage: 'build', action: 'execute-stage', decision: ALLOW },
    { type: 'stage_started', stage: 'build', deadlineAt: null },
    { type: 'stage_failed', stage: 'build', error },
    {
      type: 'compensation_planned',
      target: { end: 'failed' },
      cause: error,
      entries: [{ stage: 'build', skip: null }],
      by: null,
    },
    { type: 'compensation_started', stage: 'build' },
    { type: 'compensation_dead_lettered', stage: 'build', error },
    { type: 'workflow_failed' },
  ]);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Has everything written out, in the stores that put that off. */
export async function writeOut(store: WorkflowStore): Promise<void> {
  if ('writeOut' in store && typeof store.writeOut === 'function') await store.writeOut();
}
