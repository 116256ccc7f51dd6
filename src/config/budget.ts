/** `budget` and `shared_budget`: what the tasks of a stage, of an instance or of all instances may use. */
import type { Budget, SharedBudget } from '../core/budget.js';
import { choice, integer, number, optional, type RowOf, required, table } from './shape.js';

const MAX_TOKENS = 1_000_000_000_000;
const MAX_USD = 1_000_000;
const MAX_SECONDS = 100 * 366 * 86_400;
const MICRO = 1_000_000;

const amounts = {
  tokens: optional(integer(1, MAX_TOKENS, 'tokens'), 'Tokens of language models, in and out.'),
  usd: optional(number(1 / MICRO, MAX_USD, 'US dollars'), 'What they cost, in US dollars.'),
  seconds: optional(
    number(0.001, MAX_SECONDS, 'seconds'),
    'Seconds that agents were at it, each attempt from its dispatch to its end.',
  ),
};

export const budgetShape = table('`budget`', amounts);
export const sharedBudgetShape = table('`shared_budget`', {
  per: required(
    choice(['hour', 'day', 'week', 'month']),
    'Each begins with the whole budget: calendar time in UTC, weeks from Monday.',
  ),
  ...amounts,
});

export function buildBudget(row: RowOf<typeof budgetShape> | undefined): Budget | null {
  return row === undefined ? null : limitsOf(row);
}

/** To be spread into a template: one that shares no budget has no such key. */
export function buildSharedBudget(row: RowOf<typeof sharedBudgetShape> | undefined): {
  readonly sharedBudget?: SharedBudget;
} {
  return row === undefined ? {} : { sharedBudget: { ...limitsOf(row), per: row.per } };
}

function limitsOf(row: RowOf<typeof budgetShape>): Budget {
  return {
    tokens: row.tokens ?? null,
    microUsd: row.usd === undefined ? null : Math.round(row.usd * MICRO),
    ms: row.seconds === undefined ? null : Math.max(1, Math.round(row.seconds * 1_000)),
  };
}
