/** From a scenario that goes wrong to a small one that does too: what can be left out is. */
import type { EngineCode } from './engine-code.js';
import { checkScenario } from './run.js';
import { CHANCES, type Scenario } from './scenario.js';

/** Runs that may be spent on it. */
const MAX_RUNS = 400;

export interface Shrunk {
  readonly scenario: Scenario;
  readonly violation: string;
  readonly runs: number;
}

export async function shrink(code: EngineCode, start: Scenario, violation: string): Promise<Shrunk> {
  let best: Shrunk = { scenario: start, violation, runs: 0 };
  let runs = 0;
  for (let isSmaller = true; isSmaller && runs < MAX_RUNS; ) {
    isSmaller = false;
    for (const candidate of smaller(best.scenario)) {
      if (runs >= MAX_RUNS) break;
      runs += 1;
      const { violation: words } = await checkScenario(code, candidate);
      if (words === null) continue;
      best = { scenario: candidate, violation: words, runs };
      isSmaller = true;
      break;
    }
  }
  return { ...best, runs };
}

/** Each with one thing less, the largest things first. */
function* smaller(scenario: Scenario): Generator<Scenario> {
  for (const part of ['faults', 'wishes', 'starts', 'agents'] as const) {
    const items: readonly unknown[] = scenario[part];
    if (items.length > 3) {
      const half = items.length >> 1;
      yield { ...scenario, [part]: items.slice(0, half) };
      yield { ...scenario, [part]: items.slice(half) };
    }
    if (items.length > (part === 'starts' ? 1 : 0)) {
      for (const index of items.keys()) yield { ...scenario, [part]: items.toSpliced(index, 1) };
    }
  }
  if (scenario.isCedar) yield { ...scenario, isCedar: false };
  if (scenario.maxParallelTasks !== null) yield { ...scenario, maxParallelTasks: null };
  yield* fewerStages(scenario);
  for (const chance of CHANCES) {
    if (scenario.chances[chance] > 0) yield { ...scenario, chances: { ...scenario.chances, [chance]: 0 } };
  }
}

/** The last stage of a template, which nothing needs; or a whole template that nobody starts. */
function* fewerStages(scenario: Scenario): Generator<Scenario> {
  const { templates, starts } = scenario;
  for (const [index, template] of templates.entries()) {
    const isStarted = starts.some(({ workflow }) => workflow === template.name);
    if (!isStarted && templates.length > 1) yield { ...scenario, templates: templates.toSpliced(index, 1) };
    if (template.stages.length < 2) continue;
    const shorter = { ...template, stages: template.stages.slice(0, -1) };
    yield { ...scenario, templates: templates.with(index, shorter) };
  }
}
