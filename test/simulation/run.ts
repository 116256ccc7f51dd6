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

/** What Cedar makes of the scenario's rules; of none, where the scenario does not ask it. */
type Compiled = ReadonlyMap<readonly Rule[], Authorizer & { close(): void }>;

export async function runScenario(
  code: EngineCode,
  scenario: Scenario,
  isTraced: boolean,
): Promise<RunResult> {
  return withCedar(code, scenario, (cedar) => runOnce(code, scenario, { isTraced, isWatched: true }, cedar));
}

async function runOnce(
  code: EngineCode,
  scenario: Scenario,
  { isTraced, isWatched }: { isTraced: boolean; isWatched: boolean },
  cedar: Compiled,
): Promise<RunResult> {
  const world = new World({ scenario, code, isTraced, isWatched, cedar, past: null });
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
  }
  const { trace, violation, coverage } = world;
  return { hash: trace.hash, violation, coverage: coverage.data, lines: trace.lines ?? [] };
}

async function withCedar<T>(
  code: EngineCode,
  scenario: Scenario,
  run: (cedar: Compiled) => Promise<T>,
): Promise<T> {
  const cedar = await compileAll(code, scenario);
  try {
    return await run(cedar);
  } finally {
    for (const authorizer of cedar.values()) authorizer.close();
  }
}

async function compileAll(code: EngineCode, { isCedar, policy, faults }: Scenario): Promise<Compiled> {
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

/**
 * Runs it twice. Whether it went wrong, or went another way the second time. Of the second run only the trace is looked at: where it is
 * the same, with the hash of each commit in it, there is nothing that the checks of the first have not seen.
 */
export async function checkScenario(code: EngineCode, scenario: Scenario): Promise<RunResult> {
  return withCedar(code, scenario, async (cedar) => {
    const first = await runOnce(code, scenario, { isTraced: false, isWatched: true }, cedar);
    if (first.violation !== null) return first;
    const second = await runOnce(code, scenario, { isTraced: false, isWatched: false }, cedar);
    if (second.violation !== null)
      return { ...first, violation: `only the second time: ${second.violation}` };
    if (second.hash === first.hash) return first;
    return { ...first, violation: `two runs differ: ${first.hash} and ${second.hash}` };
  });
}
