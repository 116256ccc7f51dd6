/** Other policies, put to what was asked of the present ones. */
import type { DecisionBook, Flip, WhatIfReport } from '../core/decision-log.js';
import type { Authorizer } from '../core/ports.js';

/** Flips that are shown one by one. */
const MAX_FLIPS = 1_000;
/** Distinct requests of one comparison: about a minute's work. */
const MAX_REQUESTS = 200_000;

/** `breathe` is awaited between batches, so that others get their turn. */
export async function whatIf(
  candidate: Authorizer,
  book: Pick<DecisionBook, 'decisions'>,
  since: number,
  breathe: () => Promise<void>,
): Promise<WhatIfReport> {
  const flips: Flip[] = [];
  let requests = 0;
  let decisions = 0;
  let newlyDenied = 0;
  let newlyAllowed = 0;
  for await (const batch of book.decisions(since)) {
    for (const { at, request, decision: was, count } of batch) {
      if (requests === MAX_REQUESTS) {
        return { requests, decisions, flips, newlyDenied, newlyAllowed, isCut: true };
      }
      requests += 1;
      decisions += count;
      const wouldBe = candidate.authorize(request);
      if (wouldBe.effect === was.effect) continue;
      if (wouldBe.effect === 'deny') newlyDenied += count;
      else newlyAllowed += count;
      if (flips.length < MAX_FLIPS) flips.push({ at, count, request, was, wouldBe });
    }
    await breathe();
  }
  return { requests, decisions, flips, newlyDenied, newlyAllowed, isCut: false };
}
