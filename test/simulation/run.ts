/** A scenario, run: twice, because the same must happen both times. */
import type { Authorizer } from '../../src/core/ports.js';
import type { CoverageData } from './coverage.js';
import type { EngineCode } from './engine-code.js';
import { beginAnew } from './past.js';
import { compileRules } from './policy.js';
import type { Rule, Scenario } from './scenario.js';
import { World } from './world.js';

export interface RunResult {
  readonly hash: string;
  /** The first thing that was wrong; null: nothing. */
  readonly violation: string | null;
  readonly coverage: CoverageData;
  /** Where they were asked for. */
  readonly lines: readonly string[];
}

export async function runScenario(
  code: EngineCode,
  scenario: Scenario,
  isTraced: boolean,
): Promise<RunResult> {
  const cedar = await compileAll(code, scenario);
  const world = new World({ scenario, code, isTraced, cedar, past: null });
  const onUnhandled = (error: unknown) => {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.violate(`a rejection that nobody handles: ${words}`);
  };
  process.on('unhandledRejection', onUnhandled);
  try {
    await world.run();
    if (world.violation === null) await beginAnew(world, cedar);
  } finally {
    process.off('unhandledRejection', onUnhandled);
    for (const authorizer of cedar.values()) authorizer.close();
  }
  const { trace, violation, coverage } = world;
  return { hash: trace.hash, violation, coverage: coverage.data, lines: trace.lines ?? [] };
}

async function compileAll(
  code: EngineCode,
  { isCedar, policy, faults }: Scenario,
): Promise<ReadonlyMap<readonly Rule[], Authorizer & { close(): void }>> {
  const compiled = new Map<readonly Rule[], Authorizer & { close(): void }>();
  if (!isCedar) return compiled;
  for (const rules of [
    policy,
    ...faults.flatMap((fault) => (fault.kind === 'policy' ? [fault.rules] : [])),
  ]) {
    compiled.set(rules, await compileRules(code, rules));
  }
  return compiled;
}

/** Runs it twice. Whether it went wrong, or went another way the second time. */
export async function checkScenario(code: EngineCode, scenario: Scenario): Promise<RunResult> {
  const first = await runScenario(code, scenario, false);
  if (first.violation !== null) return first;
  const second = await runScenario(code, scenario, false);
  if (second.hash === first.hash) return first;
  return { ...first, violation: `two runs differ: ${first.hash} and ${second.hash}` };
}
