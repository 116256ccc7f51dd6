/** Templates of every kind, from a seed. */
import type { Budget } from '../../src/core/budget.js';
import type { RetryPolicy, StageTemplate } from '../../src/core/template.js';
import type { Dice } from './chance.js';
import type { Scenario } from './scenario.js';

type TemplatePlan = Scenario['templates'][number];

export const STAGES = ['a', 'b', 'c', 'd', 'e', 'f'];
export const ROLES = ['build', 'test', 'check', 'ship', 'watch'];
const UNDO_ROLES = ['undo', 'wipe', 'ship'];

/** What a whole template is made of, so that its stages resemble each other and something in particular comes up often. */
interface Style {
  readonly shape: 'line' | 'graph' | 'fan';
  readonly approvals: number;
  readonly undos: number;
  readonly limits: number;
  readonly finals: number;
  readonly attempts: number;
}

export function makeTemplate(dice: Dice, name: string): TemplatePlan {
  const style: Style = {
    shape: dice.pick(['line', 'line', 'graph', 'graph', 'fan']),
    approvals: dice.pick([0, 0.2, 0.5]),
    undos: dice.pick([0.3, 0.8, 1]),
    limits: dice.pick([0, 0.1, 0.4]),
    finals: dice.pick([0, 0, 0.15, 0.3]),
    attempts: dice.int(1, 3),
  };
  const own = dice.fork();
  const budgets = own.pick([0, 0, 0, 0.5]);
  const names = STAGES.slice(0, dice.pick([1, 2, 3, 3, 4, 5, 6]));
  return {
    name,
    trigger: 'manual',
    stages: names.map((stage, index) => ({
      ...makeStage(dice, style, stage, needsOf(dice, style, names, index)),
      budget: makeBudget(own, budgets),
    })),
    timeoutMs: dice.chance(style.limits) ? dice.span([3_000, 60_000], [600_000, 7_200_000]) : null,
    onDeny: dice.pick(['block', 'compensate']),
    sagaParallelism: dice.pick([1, 1, 2, 3]),
    budget: makeBudget(own, budgets),
    onBreach: own.pick(['pause', 'compensate']),
  };
}

/** Of time alone: agents of these worlds count nothing else. */
function makeBudget(dice: Dice, share: number): Budget | null {
  if (!dice.chance(share)) return null;
  return { tokens: null, microUsd: null, ms: dice.span([500, 5_000], [5_000, 120_000]) };
}

function needsOf(dice: Dice, { shape }: Style, names: readonly string[], index: number): readonly string[] {
  if (index === 0) return [];
  if (shape === 'line') return names.slice(index - 1, index);
  if (shape === 'fan') return index === names.length - 1 ? names.slice(1, index) : names.slice(0, 1);
  return names.slice(0, index).filter(() => dice.chance(0.4));
}

function makeStage(
  dice: Dice,
  style: Style,
  name: string,
  needs: readonly string[],
): Omit<StageTemplate, 'budget'> {
  const agents = dice.some(ROLES, dice.pick([1, 1, 1, 2, 3]));
  const parallel = agents.length > 1 && dice.chance(0.6);
  const approvalRequired = dice.chance(style.approvals);
  return {
    name,
    agents,
    parallel,
    maxParallel: parallel ? dice.int(2, agents.length) : 1,
    approvalRequired,
    approvalTimeoutMs: dice.chance(0.4) ? dice.span([2_000, 60_000], [600_000, 7_200_000]) : null,
    onApprovalTimeout: dice.pick(['reject', 'approve']),
    compensationAgents: dice.chance(style.undos) ? dice.some(UNDO_ROLES, dice.pick([1, 1, 2])) : [],
    needs,
    timeoutMs: dice.chance(style.limits) ? dice.span([1_000, 30_000], [60_000, 3_600_000]) : null,
    retry: makeRetry(dice, style.attempts),
    compensationRetry: makeRetry(dice, dice.int(1, 3)),
    compensationTimeoutMs: dice.span([1_000, 20_000], [60_000, 600_000]),
    compensateFailed: dice.pick(['completed_tasks', 'always', 'never']),
    irreversible: dice.chance(style.finals),
  };
}

function makeRetry(dice: Dice, maxAttempts: number): RetryPolicy {
  const initialMs = dice.pick([0, 100, 1_000, 30_000]);
  return {
    maxAttempts,
    initialMs,
    maxMs: initialMs * dice.int(1, 10),
    factor: dice.pick([1, 2, 3.5]),
    jitter: dice.pick([0, 0.2, 1]),
  };
}
