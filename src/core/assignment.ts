/** Which agent a task goes to. Pure: the swarm coordinator keeps the figures. */
import type { Assignment } from './events.js';

export interface Candidate {
  readonly name: string;
  readonly capacity: number;
  readonly inFlight: number;
  /** 0 to 1, see {@link nextSuccessRate}. */
  readonly successRate: number;
  /** Counts assignments of the whole swarm; when this agent got its last one. */
  readonly lastAssigned: number;
}

/** A new agent is neither trusted nor distrusted. */
export const NEUTRAL_SUCCESS_RATE = 0.5;
/** Weight of the newest outcome: after ten outcomes the oldest counts about a tenth. */
const RECENCY = 0.2;

/** Exponentially weighted mean of outcomes (1 success, 0 failure): what happened lately counts more. */
export function nextSuccessRate(rate: number, isSuccess: boolean): number {
  return rate + RECENCY * ((isSuccess ? 1 : 0) - rate);
}

/** `success_rate / (1 + load)`, load being in flight over capacity: a proven agent is preferred until it is busy. */
export function scoreOf(candidate: Candidate): number {
  return candidate.successRate / (1 + candidate.inFlight / candidate.capacity);
}

/** The best-scored agent with room; among equals, the one whose last task is longest ago. Null: all are full. */
export function chooseAgent(candidates: readonly Candidate[]): Assignment | null {
  let best: Candidate | null = null;
  let bestScore = 0;
  for (const candidate of candidates) {
    if (candidate.inFlight >= candidate.capacity) continue;
    const score = scoreOf(candidate);
    const isBetter =
      best === null ||
      score > bestScore ||
      (score === bestScore && candidate.lastAssigned < best.lastAssigned);
    if (!isBetter) continue;
    best = candidate;
    bestScore = score;
  }
  if (best === null) return null;
  return {
    agent: best.name,
    score: bestScore,
    successRate: best.successRate,
    load: best.inFlight / best.capacity,
    candidates: candidates.length,
  };
}
