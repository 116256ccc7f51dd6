/** Random templates and random inputs, sensible and not, for the properties of `decide`. */
import fc from 'fast-check';
import type { Budget } from './budget.js';
import { failure } from './errors.js';
import type { WorkflowInput } from './inputs.js';
import type { TaskAddress, TaskKind } from './instance.js';
import {
  ALLOW,
  ANN,
  ASSIGNMENT,
  artifact,
  DENY,
  digestOf,
  graph,
  type Scenario,
  stage,
} from './scenario.suite.js';
import type { StageTemplate, WorkflowTemplate } from './template.js';

const NAMES = ['a', 'b', 'c', 'd', 'e'];

const arbitraryBudget: fc.Arbitrary<Budget | null> = fc.constantFrom(null, null, null, {
  tokens: null,
  microUsd: null,
  ms: 1_500,
});

function arbitraryStage(index: number): fc.Arbitrary<StageTemplate> {
  const name = NAMES[index] ?? 'z';
  return fc
    .record({
      agents: fc.constantFrom([`do-${name}`], [`do-${name}`, `also-${name}`]),
      maxParallel: fc.constantFrom(1, 2),
      approvalRequired: fc.boolean(),
      approvalTimeoutMs: fc.constantFrom(null, 2_000),
      onApprovalTimeout: fc.constantFrom('approve' as const, 'reject' as const),
      compensationAgents: fc.constantFrom([], [`undo-${name}`], [`undo-${name}`, `wipe-${name}`]),
      needs: fc.subarray(NAMES.slice(0, index)),
      timeoutMs: fc.constantFrom(null, null, 3_000),
      maxAttempts: fc.constantFrom(1, 2),
      compensateFailed: fc.constantFrom('completed_tasks' as const, 'always' as const, 'never' as const),
      irreversible: fc.constantFrom(false, false, false, true),
      budget: arbitraryBudget,
    })
    .map(({ maxAttempts, approvalRequired, ...more }) => {
      const plain = stage(name);
      const retry = { ...plain.retry, maxAttempts };
      const asks = approvalRequired && index % 2 === 1;
      return { ...plain, ...more, approvalRequired: asks, retry, parallel: more.maxParallel > 1 };
    });
}

export const arbitraryTemplate: fc.Arbitrary<WorkflowTemplate> = fc
  .integer({ min: 1, max: NAMES.length })
  .chain((count) =>
    fc.record({
      stages: fc.tuple(...NAMES.slice(0, count).map((_, index) => arbitraryStage(index))),
      timeoutMs: fc.constantFrom(null, null, 8_000),
      onDeny: fc.constantFrom('block' as const, 'compensate' as const),
      sagaParallelism: fc.constantFrom(1, 2, 3),
      budget: arbitraryBudget,
      onBreach: fc.constantFrom('pause' as const, 'compensate' as const),
    }),
  )
  .map(({ stages, ...more }) => graph(stages, more));

/** A number that picks one of many possible moves, whatever the state is. */
export interface Move {
  readonly kind: number;
  readonly pick: number;
  readonly isAllowed: boolean;
}

export const arbitraryMoves: fc.Arbitrary<Move[]> = fc.array(
  fc.record({
    kind: fc.nat(99),
    pick: fc.nat(1_000),
    isAllowed: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  }),
  { minLength: 1, maxLength: 90, size: 'max' },
);

/** What the move means now: mostly the answer to an open question, sometimes a wish, a late word or nonsense. */
export function inputOf(run: Scenario, move: Move): WorkflowInput | 'wait' {
  if (move.kind < 68) return answerOf(run, move) ?? 'wait';
  if (move.kind < 74) return 'wait';
  if (move.kind < 84) return wishOf(run, move);
  if (move.kind < 92) return strayOf(run, move);
  return { type: 'tick' };
}

function answerOf(run: Scenario, { pick, isAllowed }: Move): WorkflowInput | null {
  const open = run.effects.filter((effect) => effect.type !== 'timer');
  const effect = open[pick % Math.max(1, open.length)];
  if (effect === undefined) return null;
  const decision = isAllowed ? ALLOW : DENY;
  if (effect.type === 'authorize') return { ...effect, type: 'authorization', decision };
  if (effect.type === 'assign') {
    return pick % 19 === 0
      ? { ...effect, type: 'unserved' }
      : { ...effect, type: 'assigned', assignment: ASSIGNMENT };
  }
  return wordOf(effect, effect.attempt, pick);
}

function wordOf({ stage: name, role, kind }: TaskAddress, attempt: number, pick: number): WorkflowInput {
  const at = { stage: name, role, kind, attempt };
  const error = failure('agent_failed', 'no luck');
  switch (pick % 10) {
    case 0:
      return { type: 'failed', ...at, error, isRetryable: false, log: null };
    case 1:
    case 2:
      return { type: 'failed', ...at, error, isRetryable: true, log: null };
    case 3:
      return { type: 'lost', ...at, reason: 'gone' };
    case 4:
      return { type: 'started', ...at };
    case 5:
      return { type: 'step', ...at, result: { name: `s${pick % 3}`, value: pick } };
    default:
      return { type: 'succeeded', ...at, artifacts: [artifact(`${role}-${pick}`)], output: null, log: null };
  }
}

function wishOf(run: Scenario, { pick, isAllowed }: Move): WorkflowInput {
  const by = { by: ANN, decision: isAllowed ? ALLOW : DENY };
  const waiting = run.state.stages.find((item) => item.status === 'waiting_approval');
  const letter = run.state.stages.find((item) => item.compensation.status === 'dead_lettered');
  const name = NAMES[pick % NAMES.length] ?? 'a';
  switch (pick % 16) {
    case 0:
      return { type: 'cancel', ...by, compensate: pick % 32 < 16 };
    case 1:
      return { type: 'rollback', ...by, to: null };
    case 2:
    case 3:
      return { type: 'rollback', ...by, to: name };
    case 4:
    case 5:
      return { type: 'retry', ...by };
    case 6:
      return { type: 'reject', ...by, stage: waiting?.name ?? name, reason: 'no' };
    case 7:
      return { type: 'resume', ...by };
    case 8:
    case 9:
      return { type: 'retry_letter', ...by, stage: letter?.name ?? name };
    case 10:
      return { type: 'resolve_letter', ...by, stage: letter?.name ?? name, reason: 'by hand' };
    case 11:
      return { type: 'approve', ...by, stage: name, comment: null, digest: digestOf('other') };
    default:
      return { type: 'approve', ...by, stage: waiting?.name ?? name, comment: null, digest: null };
  }
}

/** Late, doubled or invented. */
function strayOf(run: Scenario, { pick, isAllowed }: Move): WorkflowInput {
  const name = pick % 7 === 0 ? 'nowhere' : (NAMES[pick % NAMES.length] ?? 'a');
  const kind: TaskKind = pick % 2 === 0 ? 'execute' : 'compensate';
  const role = `${kind === 'execute' ? 'do' : 'undo'}-${name}`;
  const at = { stage: name, role, kind };
  const attempt = pick % 4;
  switch (pick % 5) {
    case 0:
      return { type: 'assigned', ...at, assignment: ASSIGNMENT };
    case 1:
      return { type: 'unserved', ...at };
    case 2:
      return {
        type: 'authorization',
        stage: name,
        action: 'execute-stage',
        decision: isAllowed ? ALLOW : DENY,
      };
    case 3:
      return { type: 'served', role };
    default:
      return wordOf(at, attempt, run.state.seq + pick);
  }
}
