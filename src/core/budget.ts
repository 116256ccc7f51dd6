/** What tasks may use, what they have used, and what becomes of a stage that has used too much. All amounts are whole numbers. */
import { assert } from './errors.js';
import { isInFlight, type StageState, type WorkflowInstance } from './instance.js';
import { stageTemplateOf, type WorkflowTemplate } from './template.js';

/** What one attempt has used, as its agent says. */
export interface AttemptUsage {
  /** Of a language model. */
  readonly model: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Millionths of a US dollar. */
  readonly microUsd: number;
}

export interface Spent {
  /** In and out. */
  readonly tokens: number;
  readonly microUsd: number;
  /** That agents were at it, each attempt from its dispatch to its end. */
  readonly ms: number;
}

/** Limits, each above 0; null: none. */
export interface Budget {
  readonly tokens: number | null;
  readonly microUsd: number | null;
  readonly ms: number | null;
}

/** Of all instances of a template together, anew in each window of calendar time, UTC. */
export interface SharedBudget extends Budget {
  readonly per: 'hour' | 'day' | 'week' | 'month';
}

/** What the instances of a template have used together in a window, as far as it is known at this moment. */
export interface SharedUse {
  readonly spent: Spent;
  /** Milliseconds since the epoch; the window ends before `untilAt`. */
  readonly fromAt: number;
  readonly untilAt: number;
}

/** What a commit adds to what the instances of a workflow have used together. */
export interface Charge {
  /** The template's name: its versions share what they use. */
  readonly workflow: string;
  /** Beginning of the hour; milliseconds since the epoch. */
  readonly hour: number;
  readonly spent: Spent;
}

/** `pause`: an operator decides whether it goes on; `compensate`: the stage fails. */
export type OnBreach = 'pause' | 'compensate';

/** Whose budget: the stage's own, that of the whole instance, or what all instances of the template share. */
export type BudgetScope = 'stage' | 'workflow' | 'shared';

export const NOTHING_SPENT: Spent = { tokens: 0, microUsd: 0, ms: 0 };

export function plus(spent: Spent, usage: AttemptUsage | undefined, ms: number): Spent {
  return {
    tokens: spent.tokens + (usage === undefined ? 0 : usage.inputTokens + usage.outputTokens),
    microUsd: spent.microUsd + (usage?.microUsd ?? 0),
    ms: spent.ms + ms,
  };
}

/** `times` -1 takes `more` away. */
export function sum(spent: Spent, more: Spent, times: 1 | -1 = 1): Spent {
  return {
    tokens: spent.tokens + times * more.tokens,
    microUsd: spent.microUsd + times * more.microUsd,
    ms: spent.ms + times * more.ms,
  };
}

/** Of all stages, in all their runs. */
export function spentBy({ stages }: Pick<WorkflowInstance, 'stages'>): Spent {
  return stages.reduce((all, { spent }) => sum(all, spent), NOTHING_SPENT);
}

const HOUR_MS = 3_600_000;

/** Null: the template's instances share no budget, or nothing was used. */
export function chargeOf(
  template: WorkflowTemplate,
  previous: WorkflowInstance | null,
  next: WorkflowInstance,
  at: number,
): Charge | null {
  if (template.sharedBudget === undefined) return null;
  const spent = previous === null ? spentBy(next) : sum(spentBy(next), spentBy(previous), -1);
  if (spent.tokens === 0 && spent.microUsd === 0 && spent.ms === 0) return null;
  return { workflow: template.name, hour: at - (at % HOUR_MS), spent };
}

/** How often the shared budget of this window was granted to the instance again. */
export function sharedGrantsOf(instance: WorkflowInstance, { fromAt }: SharedUse): number {
  const { sharedGrants } = instance;
  return sharedGrants?.fromAt === fromAt ? sharedGrants.count : 0;
}

/** What the budget amounts to after an operator has granted it again so many times. */
export function allowance(budget: Budget | null, grants: number): Budget {
  const times = (limit: number | null) => (limit === null ? null : limit * (1 + grants));
  return {
    tokens: times(budget?.tokens ?? null),
    microUsd: times(budget?.microUsd ?? null),
    ms: times(budget?.ms ?? null),
  };
}

/** Attempts that will together have used up the time of a budget at `at`, unless they end before. */
export interface TimeUp {
  readonly at: number;
  /** Milliseconds that the budget allows. */
  readonly limitMs: number;
  readonly stages: readonly StageState[];
}

/** By budget of a stage and of the instance, where one bounds the time of what is in flight. */
export function timeUpsOf(template: WorkflowTemplate, instance: WorkflowInstance): readonly TimeUp[] {
  const { stages } = instance;
  // asked with every turn, and of many stages few are at work
  const own = stages.flatMap((stage) => {
    if (!stage.tasks.some(isInFlight)) return [];
    const { budget } = stageTemplateOf(template, stage.name);
    return timeUp(allowance(budget, stage.grants).ms, [stage]);
  });
  return [...own, ...timeUp(allowance(template.budget, instance.grants).ms, stages)];
}

/** So many attempts use so many milliseconds of the budget in one of the clock. */
function timeUp(limitMs: number | null, stages: readonly StageState[]): readonly TimeUp[] {
  if (limitMs === null) return [];
  const inFlight = stages.flatMap(({ tasks }) => tasks.filter(isInFlight));
  if (inFlight.length === 0) return [];
  const since = inFlight.reduce((all, { dispatchedAt }) => {
    assert(dispatchedAt !== null, 'what is in flight was dispatched');
    return all + dispatchedAt;
  }, 0);
  const at = Math.ceil((limitMs - spentBy({ stages }).ms + since) / inFlight.length);
  return [{ at, limitMs, stages }];
}

/** When the stage's attempts in flight are cut off for the time that budgets allow; null: never. */
export function cutOffAt(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  stage: string,
): number | null {
  const ups = timeUpsOf(template, instance).filter(({ stages }) => stages.some(({ name }) => name === stage));
  return ups.length === 0 ? null : Math.min(...ups.map(({ at }) => at));
}

/** The highest share that is used of an amount with a limit. */
export function usedRatio(budget: Budget, spent: Spent): number {
  const ratioOf = (key: keyof Budget) => spent[key] / (budget[key] ?? Number.POSITIVE_INFINITY);
  return Math.max(ratioOf('tokens'), ratioOf('microUsd'), ratioOf('ms'));
}

export interface Breach {
  readonly scope: BudgetScope;
  /** How often the budget has to have been granted again for the stage to go on. */
  readonly grants: number;
  readonly message: string;
  /** The window that it is for: the budget is whole again from `untilAt` on. */
  readonly window?: Pick<SharedUse, 'fromAt' | 'untilAt'>;
}

const UNITS = {
  tokens: (amount: number) => `${amount} tokens`,
  microUsd: (amount: number) => `${amount / 1_000_000} USD`,
  ms: (amount: number) => `${amount / 1_000} seconds`,
} as const;

/** Budgets that are used up, so that nothing more of the stage may be dispatched; the stage's own first. */
export function breachesOf(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  stage: StageState,
  shared: (instance: WorkflowInstance) => SharedUse,
): readonly Breach[] {
  const own = stageTemplateOf(template, stage.name).budget;
  return [
    ...breach('stage', `stage \`${stage.name}\` has`, own, stage.grants, stage.spent),
    ...breach(
      'workflow',
      `instance \`${instance.id}\` has`,
      template.budget,
      instance.grants,
      spentBy(instance),
    ),
    ...sharedBreach(template, instance, shared),
  ];
}

function sharedBreach(
  { name, sharedBudget }: WorkflowTemplate,
  instance: WorkflowInstance,
  shared: (instance: WorkflowInstance) => SharedUse,
): readonly Breach[] {
  if (sharedBudget === undefined) return [];
  const use = shared(instance);
  const { fromAt, untilAt, spent } = use;
  const subject = `in this ${sharedBudget.per} the instances of \`${name}\` have`;
  return breach('shared', subject, sharedBudget, sharedGrantsOf(instance, use), spent).map((found) => ({
    ...found,
    window: { fromAt, untilAt },
  }));
}

function breach(
  scope: BudgetScope,
  subject: string,
  budget: Budget | null,
  grants: number,
  spent: Spent,
): readonly Breach[] {
  if (budget === null) return [];
  const allowed = allowance(budget, grants);
  let needed = grants;
  const over: string[] = [];
  for (const key of ['tokens', 'microUsd', 'ms'] as const) {
    const limit = budget[key];
    const most = allowed[key];
    if (limit === null || most === null || spent[key] < most) continue;
    needed = Math.max(needed, Math.floor(spent[key] / limit));
    over.push(`${UNITS[key](spent[key])} of ${UNITS[key](most)}`);
  }
  if (over.length === 0) return [];
  return [{ scope, grants: needed, message: `${subject} used ${over.join(' and ')}` }];
}
