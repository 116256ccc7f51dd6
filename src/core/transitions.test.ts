import { describe, expect, it } from 'vitest';
import { make, play } from './cases.suite.js';
import { failure } from './errors.js';
import type { WorkflowEvent } from './events.js';
import { evolve } from './evolve.js';
import type { InstanceStatus, StageState, TaskState, WorkflowInstance } from './instance.js';
import { ALLOW, ASSIGNMENT, digestOf, graph, Scenario, stage, template } from './scenario.suite.js';
import { MACHINES, seenTransitions } from './transitions.suite.js';

const gate = (name: string) => stage(name, { approvalRequired: true });
const final = stage('f', { irreversible: true });

/** One after the other they make every legal transition. */
function playAll(): void {
  play({
    template: template(['a', 'b']),
    replies: { 'do-a': ['pause'], 'do-b': ['lost', 'retry', 'fail'] },
    moves: [{ type: 'answer', role: 'do-a', reply: 'ok' }],
  });
  const letters = { replies: { 'undo-b': ['unserved', 'unserved'] } } as const;
  const gated = { template: template(['a', stage('b'), gate('c'), 'd']) };
  play({
    ...gated,
    ...letters,
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'retry_letter', stage: 'b' },
      { type: 'rollback', to: 'a' },
      { type: 'reject', stage: 'c', reason: 'no' },
    ],
  });
  play({
    ...gated,
    replies: { 'undo-b': ['fail'] },
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'resolve_letter', stage: 'b', reason: 'by hand' },
      { type: 'cancel', compensate: true },
    ],
  });
  play({
    template: template(['a', 'b', gate('c')]),
    replies: { 'undo-b': ['fail'] },
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'cancel', compensate: false },
    ],
  });
  play({
    template: template(['a', stage('b', { compensationAgents: [] }), gate('c')]),
    moves: [
      { type: 'rollback', to: 'a' },
      { type: 'approve', stage: 'c', comment: null, digest: null },
    ],
  });
  endedAndRetried();
  passedAndRetried();
  retriedThenTakenBack();
  silentAttempts();
}

/** Instances that were denied or stopped, and their successors. */
function endedAndRetried(): void {
  const denied = play({ template: template(['a', 'b'], { onDeny: 'compensate' }), denials: { b: 1 } });
  play({ template: denied.template, retryOf: denied.state });
  const stopped = play({
    template: template(['a', 'b']),
    replies: { 'do-b': ['pause'] },
    moves: [{ type: 'cancel', compensate: false }],
  });
  play({
    template: stopped.template,
    retryOf: stopped.state,
    denials: { b: 1 },
    moves: [{ type: 'cancel', compensate: true }],
  });
}

/** Failures behind a point of no return, where retries go on in place. */
function passedAndRetried(): void {
  play({
    template: template([final, gate('c')]),
    moves: [{ type: 'reject', stage: 'c', reason: 'no' }, { type: 'retry' }],
  });
  play({
    template: template([final, stage('c', { agents: ['x', 'y'] })]),
    denials: { c: 1 },
    replies: { y: ['fail'] },
    moves: [{ type: 'resume' }, { type: 'retry' }],
  });
}

/** A stage is denied after an operator's retry, and taken back for what it did before. */
function retriedThenTakenBack(): void {
  const shape = graph([final, stage('c', { needs: ['f'], agents: ['x', 'y'] })]);
  const run = play({ template: shape, replies: { y: ['fail'] } });
  make(run, { type: 'retry' });
  make(run, { type: 'rollback', to: 'f' });
  run.run();
}

/** Attempts that never say that they have started end in every way. */
function silentAttempts(): void {
  const error = failure('agent_failed', 'no luck');
  const roles = ['t', 'u', 'v', 'w', 'x'];
  const run = new Scenario(template([stage('a', { agents: roles, parallel: true, maxParallel: 4 })]));
  run.send({ type: 'authorization', stage: 'a', action: 'execute-stage', decision: ALLOW });
  const at = (role: string) => ({ stage: 'a', role, kind: 'execute' }) as const;
  for (const role of roles.slice(0, 4)) run.send({ type: 'assigned', ...at(role), assignment: ASSIGNMENT });
  run.send({ type: 'lost', ...at('t'), attempt: 1, reason: 'gone' });
  run.send({ type: 'succeeded', ...at('u'), attempt: 1, artifacts: [], output: null, log: null });
  run.send({ type: 'started', ...at('w'), attempt: 1 });
  run.send({ type: 'failed', ...at('v'), attempt: 1, error, isRetryable: false, log: null });
  const other = new Scenario(template([stage('a', { agents: ['x', 'y'], parallel: true, maxParallel: 2 })]));
  other.send({ type: 'authorization', stage: 'a', action: 'execute-stage', decision: ALLOW });
  for (const role of ['x', 'y']) other.send({ type: 'assigned', ...at(role), assignment: ASSIGNMENT });
  other.send({ type: 'failed', ...at('x'), attempt: 1, error, isRetryable: false, log: null });
}

const ALL = Object.entries(MACHINES).flatMap(([machine, table]) =>
  Object.keys(table).flatMap((from) => Object.keys(table).map((to) => ({ machine, from, to }))),
);
const LEGAL = ALL.filter(({ machine, from, to }) => MACHINES[machine]?.[from]?.includes(to));
const ILLEGAL = ALL.filter((pair) => !LEGAL.includes(pair));

/** One stage, whose attempt is in flight. */
const pausedRun = () => new Scenario(template(['a']), { replies: { 'do-a': ['pause'] } }).run();

function withStage(change: (stage: StageState) => StageState): WorkflowInstance {
  const { state } = pausedRun();
  return { ...state, stages: state.stages.map(change) };
}

function withTask(status: TaskState['status'], kind: 'execute' | 'compensate'): WorkflowInstance {
  return withStage((item) => {
    const tasks = item.tasks.map((task) => ({
      ...task,
      status,
      role: kind === 'execute' ? 'do-a' : 'undo-a',
    }));
    return kind === 'execute'
      ? { ...item, tasks }
      : { ...item, compensation: { ...item.compensation, tasks } };
  });
}

const AT = { stage: 'a', role: 'do-a', kind: 'execute', attempt: 1 } as const;
const error = failure('task_failed', 'x');
const rollback = { target: { end: 'resume', to: 'a' }, cause: error, plannedAt: 0, order: [] } as const;

/** The events that lead to each state. */
const TO: Record<string, Record<string, readonly WorkflowEvent[]>> = {
  instance: {
    active: [
      { type: 'workflow_started' },
      { type: 'workflow_resumed', deadlineAt: null },
      { type: 'rollback_completed', to: 'a' },
    ],
    waiting_approval: [{ type: 'workflow_waiting' }],
    blocked: [{ type: 'workflow_blocked', stage: 'a', block: { code: 'denied', message: '' } }],
    compensating: [
      { type: 'compensation_planned', target: { end: 'failed' }, cause: error, entries: [], by: null },
    ],
    completed: [{ type: 'workflow_completed' }],
    failed: [{ type: 'workflow_failed' }],
    cancelled: [{ type: 'workflow_cancelled' }],
  },
  stage: {
    pending: [{ type: 'stage_reset', stage: 'a' }],
    waiting_approval: [{ type: 'approval_requested', stage: 'a', digest: digestOf(''), deadlineAt: null }],
    running: [{ type: 'stage_started', stage: 'a', deadlineAt: null }],
    completed: [
      { type: 'stage_completed', stage: 'a' },
      { type: 'stage_carried_over', stage: 'a', artifacts: [] },
    ],
    failed: [{ type: 'stage_failed', stage: 'a', error }],
    skipped: [{ type: 'stage_skipped', stage: 'a' }],
  },
  task: {
    pending: [
      { type: 'task_interrupted', ...AT, reason: '' },
      { type: 'task_failed', ...AT, error, retryAt: 1, log: null },
    ],
    dispatched: [
      {
        type: 'task_dispatched',
        ...AT,
        attempt: 2,
        assignment: ASSIGNMENT,
        idempotencyKey: '',
        deadlineAt: null,
      },
    ],
    running: [{ type: 'task_started', ...AT }],
    completed: [{ type: 'task_completed', ...AT, artifacts: [], output: null, log: null }],
    failed: [{ type: 'task_failed', ...AT, error, retryAt: null, log: null }],
    cancelled: [{ type: 'task_cancelled', ...AT }],
  },
  compensation: {
    none: [{ type: 'stage_reset', stage: 'a' }],
    planned: [plan(null)],
    running: [
      { type: 'compensation_started', stage: 'a' },
      { type: 'dead_letter_retried', stage: 'a', by: 'ann' },
    ],
    compensated: [{ type: 'stage_compensated', stage: 'a' }],
    dead_lettered: [{ type: 'compensation_dead_lettered', stage: 'a', error }],
    resolved: [{ type: 'dead_letter_resolved', stage: 'a', by: 'ann', reason: '' }],
    skipped: [plan('why')],
  },
};

function plan(skip: string | null): WorkflowEvent {
  return {
    type: 'compensation_planned',
    target: { end: 'failed' },
    cause: error,
    entries: [{ stage: 'a', skip }],
    by: null,
  };
}

function stateIn(machine: string, from: string): WorkflowInstance {
  if (machine === 'instance') return { ...pausedRun().state, status: from as InstanceStatus, rollback };
  if (machine === 'task') return withTask(from as TaskState['status'], 'execute');
  if (machine === 'stage') return withStage((item) => ({ ...item, status: from as StageState['status'] }));
  return withStage((item) => {
    const status = from as StageState['compensation']['status'];
    return { ...item, status: 'completed', compensation: { ...item.compensation, status } };
  });
}

describe('the tables of transitions', () => {
  it('hold exactly the transitions that instances make', () => {
    playAll();
    const legal = LEGAL.map(({ machine, from, to }) => `${machine}: ${from} -> ${to}`);
    expect([...seenTransitions].sort()).toEqual(legal.sort());
  });

  // a stage that was not taken back keeps `none` through a reset
  const refused = ILLEGAL.filter(
    ({ machine, from, to }) => !(machine === 'compensation' && from === 'none' && to === 'none'),
  );
  it.each(refused)('refuse $machine: $from -> $to', ({ machine, from, to }) => {
    const { template: of, state, now } = pausedRun();
    const meta = { id: state.id, at: now };
    for (const event of TO[machine]?.[to] ?? []) {
      expect(() => evolve(of, stateIn(machine, from), event, meta)).toThrow('assertion failed');
    }
  });
});
