/** `budget`: what the tasks of a stage or of an instance may use. */
import type { Budget } from '../core/budget.js';
import { integer, number, optional, type RowOf, table } from './shape.js';

const MAX_TOKENS = 1_000_000_000_000;
const MAX_USD = 1_000_000;
const MAX_SECONDS = 100 * 366 * 86_400;
const MICRO = 1_000_000;

export const budgetShape = table('`budget`', {
  tokens: optional(integer(1, MAX_TOKENS, 'tokens'), 'Tokens of language models, in and out.'),
  usd: optional(number(1 / MICRO, MAX_USD, 'US dollars'), 'What they cost, in US dollars.'),
  seconds: optional(
    number(0.001, MAX_SECONDS, 'seconds'),
    'Seconds that agents were at it, each attempt from its dispatch to its end.',
  ),
});

export function buildBudget(row: RowOf<typeof budgetShape> | undefined): Budget | null {
  if (row === undefined) return null;
  return {
    tokens: row.tokens ?? null,
    microUsd: row.usd === undefined ? null : Math.round(row.usd * MICRO),
    ms: row.seconds === undefined ? null : Math.max(1, Math.round(row.seconds * 1_000)),
  };
}
