/** What tasks may use, what they have used, and what becomes of a stage that has used too much. All amounts are whole numbers. */
import type { StageState, WorkflowInstance } from './instance.js';
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

/** `pause`: an operator decides whether it goes on; `compensate`: the stage fails. */
export type OnBreach = 'pause' | 'compensate';

/** Whose budget: the stage's own, or that of the whole instance. */
export type BudgetScope = 'stage' | 'workflow';

export const NOTHING_SPENT: Spent = { tokens: 0, microUsd: 0, ms: 0 };

export function plus(spent: Spent, usage: AttemptUsage | undefined, ms: number): Spent {
  return {
    tokens: spent.tokens + (usage === undefined ? 0 : usage.inputTokens + usage.outputTokens),
    microUsd: spent.microUsd + (usage?.microUsd ?? 0),
    ms: spent.ms + ms,
  };
}

/** Of all stages, in all their runs. */
export function spentBy({ stages }: Pick<WorkflowInstance, 'stages'>): Spent {
  return stages.reduce(
    (sum, { spent }) => ({
      tokens: sum.tokens + spent.tokens,
      microUsd: sum.microUsd + spent.microUsd,
      ms: sum.ms + spent.ms,
    }),
    NOTHING_SPENT,
  );
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

export interface Breach {
  readonly scope: BudgetScope;
  /** How often the budget has to have been granted again for the stage to go on. */
  readonly grants: number;
  readonly message: string;
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
): readonly Breach[] {
  const own = stageTemplateOf(template, stage.name).budget;
  return [
    ...breach('stage', `stage \`${stage.name}\``, own, stage.grants, stage.spent),
    ...breach('workflow', `instance \`${instance.id}\``, template.budget, instance.grants, spentBy(instance)),
  ];
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
  return [{ scope, grants: needed, message: `${subject} has used ${over.join(' and ')}` }];
}
