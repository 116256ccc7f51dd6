import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowance, type Budget, spentBy } from './budget.js';
import { wakeAtOf } from './deadlines.js';
import { decide } from './decide.js';
import { Draft } from './draft.js';
import { asksFor, type Question } from './effects.js';
import { assert, VaporaError } from './errors.js';
import type { WorkflowEvent } from './events.js';
import { advance } from './forward.js';
import { isInFlight, isLive, isTerminal, type StageState, type WorkflowInstance } from './instance.js';
import { arbitraryMoves, arbitraryTemplate, inputOf, type Move } from './random.suite.js';
import { Scenario } from './scenario.suite.js';
import type { WorkflowTemplate } from './template.js';

const RUNS = 400;

/** Plays the moves; wishes that can't be granted are refused with a coded error and nothing else ever throws. */
function play(
  template: WorkflowTemplate,
  moves: readonly Move[],
  check: (run: Scenario, before: WorkflowInstance, events: readonly WorkflowEvent[]) => void = () => {},
): Scenario {
  const run = new Scenario(template);
  for (const move of moves) {
    const input = inputOf(run, move);
    const before = run.state;
    const known = run.events.length;
    try {
      if (input === 'wait') run.passTime();
      else run.send(input);
    } catch (error) {
      if (!(error instanceof VaporaError)) throw error;
      expect(run.state).toBe(before);
    }
    check(run, before, run.events.slice(known));
  }
  return run;
}

/** All that could ever be asked, and some that can't. */
function questionsAbout(template: WorkflowTemplate): Question[] {
  const stages = template.stages.flatMap(({ name, agents, compensationAgents }): Question[] => [
    { type: 'authorize', stage: name, action: 'execute-stage' },
    { type: 'authorize', stage: name, action: 'pass-point-of-no-return' },
    ...agents.map((role) => ({ type: 'assign', stage: name, role, kind: 'execute' }) as const),
    ...compensationAgents.map((role) => ({ type: 'assign', stage: name, role, kind: 'compensate' }) as const),
    { type: 'assign', stage: name, role: 'nobody', kind: 'execute' },
  ]);
  return [...stages, { type: 'authorize', stage: 'nowhere', action: 'execute-stage' }];
}

function always(
  check: (run: Scenario, before: WorkflowInstance, events: readonly WorkflowEvent[]) => void,
): void {
  fc.assert(
    fc.property(arbitraryTemplate, arbitraryMoves, (template, moves) => {
      play(template, moves, check);
    }),
    { numRuns: RUNS },
  );
}

describe('any instance, whatever arrives', () => {
  it('never changes its status once it has ended', () => {
    always((run, before) => {
      if (isTerminal(before.status)) expect(run.state.status).toBe(before.status);
    });
  });

  it('misses nothing while it sleeps: what waits has nothing to do before its time comes', () => {
    always(({ state, effects }) => {
      const at = wakeAtOf(state);
      if (at === 0) return expect(isLive(state)).toBe(true);
      if (isTerminal(state.status)) return expect([at, effects]).toEqual([null, []]);
      expect(effects).toEqual(at === null ? [] : [{ type: 'timer', at }]);
    });
  });

  it('is never stuck: something is called for, or only a person can move it', () => {
    always((run) => {
      const { status } = run.state;
      if (isTerminal(status) || status === 'waiting_approval' || status === 'blocked') return;
      const tasks = run.state.stages.flatMap((stage) => [...stage.tasks, ...stage.compensation.tasks]);
      const isDelayed = tasks.some((task) => task.status === 'pending' && (task.retryAt ?? 0) > run.now);
      const types = run.effects.map((effect) => effect.type);
      // a deadline alone is nothing to live on
      expect(types.some((type) => type !== 'timer') || (isDelayed && types.includes('timer'))).toBe(true);
    });
  });

  it('asks one question where it is among all that are asked', () => {
    always((run) => {
      const asked = run.effects.map((effect) => JSON.stringify(effect));
      for (const question of questionsAbout(run.template)) {
        const isAsked = asksFor(run.template, run.state, question, run.now);
        expect(isAsked).toBe(asked.includes(JSON.stringify(question)));
      }
    });
  });

  it('rests only where nothing goes on', () => {
    always((run) => {
      if (run.state.status !== 'waiting_approval') return;
      const types = run.effects.map((effect) => effect.type);
      expect(types.filter((type) => type !== 'timer')).toEqual([]);
    });
  });

  it('is decided to the end: a decision leaves nothing that another look would change', () => {
    always((run) => {
      const draft = new Draft(run.template, run.state, run.moment);
      advance(draft);
      expect(draft.events).toEqual([]);
    });
  });

  it('sees nothing expire before the time that it asked to be woken at', () => {
    always((run) => {
      const timer = run.effects.find((effect) => effect.type === 'timer');
      const early = timer?.type === 'timer' ? timer.at - 1 : Number.MAX_SAFE_INTEGER;
      if (early < run.now) return;
      const moment = { ...run.moment, now: early };
      expect(decide(run.template, run.state, { type: 'tick' }, moment)).toEqual([]);
    });
  });

  it('is never woken for nothing: when a timer rings, something happens or becomes possible', () => {
    always((run) => {
      const timer = run.effects.find((effect) => effect.type === 'timer');
      if (timer?.type !== 'timer') return;
      const now = Math.max(run.now, timer.at);
      const events = decide(run.template, run.state, { type: 'tick' }, { ...run.moment, now });
      if (events.length > 0) return;
      const before = run.effects.filter((effect) => effect.type === 'assign').length;
      run.now = now;
      expect(run.effects.filter((effect) => effect.type === 'assign').length).toBeGreaterThan(before);
    });
  });

  it('completes a task at most once for one idempotency key', () => {
    fc.assert(
      fc.property(arbitraryTemplate, arbitraryMoves, (template, moves) => {
        const { events } = play(template, moves);
        const keys = new Map<string, string>();
        const completed: string[] = [];
        for (const event of events) {
          if (!('role' in event)) continue;
          const task = JSON.stringify([event.stage, event.role, event.kind, event.attempt]);
          if (event.type === 'task_dispatched') {
            expect(keys.has(task), 'an attempt number is never used again').toBe(false);
            keys.set(task, event.idempotencyKey);
          }
          if (event.type === 'task_completed') completed.push(keys.get(task) ?? 'undispatched');
        }
        expect(new Set(completed).size).toBe(completed.length);
        expect(completed).not.toContain('undispatched');
      }),
      { numRuns: RUNS },
    );
  });

  it('never has agents at it for longer than its budgets allow, as long as timers ring in time', () => {
    const usedMs = (stages: readonly StageState[], now: number) =>
      stages
        .flatMap(({ tasks }) => tasks.filter(isInFlight))
        .reduce((all, { dispatchedAt }) => all + now - (dispatchedAt ?? now), spentBy({ stages }).ms);
    const limitMs = (budget: Budget | null, grants: number) =>
      allowance(budget, grants).ms ?? Number.POSITIVE_INFINITY;
    always(({ template, state, now }) => {
      expect(usedMs(state.stages, now)).toBeLessThanOrEqual(limitMs(template.budget, state.grants));
      for (const [index, stage] of state.stages.entries()) {
        const { budget = null } = template.stages[index] ?? {};
        expect(usedMs([stage], now)).toBeLessThanOrEqual(limitMs(budget, stage.grants));
      }
    });
  });

  it('keeps to max_parallel and to one compensation task at a time', () => {
    always((run) => {
      for (const stage of run.state.stages) {
        const limit = run.template.stages.find((item) => item.name === stage.name)?.maxParallel ?? 0;
        const mine = run.effects.filter((effect) => effect.type === 'execute' && effect.stage === stage.name);
        expect(mine.length).toBeLessThanOrEqual(Math.max(1, limit));
      }
    });
  });

  it('never takes back a point of no return', () => {
    always((run, _before, events) => {
      for (const event of events) {
        if (event.type !== 'compensation_started') continue;
        const template = run.template.stages.find((item) => item.name === event.stage);
        const stage = run.state.stages.find((item) => item.name === event.stage);
        const isPassed = template?.irreversible && stage?.tasks.some((task) => task.attempt > 0);
        expect(isPassed).not.toBe(true);
      }
    });
  });

  it('starts compensations in the reverse of completion where one goes at a time', () => {
    fc.assert(
      fc.property(arbitraryTemplate, arbitraryMoves, (template, moves) => {
        let last = Number.POSITIVE_INFINITY;
        play({ ...template, sagaParallelism: 1 }, moves, (run, _before, events) => {
          for (const event of events) {
            if (event.type === 'compensation_planned') last = Number.POSITIVE_INFINITY;
            if (event.type !== 'compensation_started') continue;
            const stage = run.state.stages.find((item) => item.name === event.stage);
            assert(stage !== undefined, 'a known stage');
            if (stage.completion === null) continue;
            expect(stage.completion).toBeLessThan(last);
            last = stage.completion;
          }
        });
      }),
      { numRuns: RUNS },
    );
  });

  it('starts no compensation before those of the stages that build upon it are settled', () => {
    always((run, before, events) => {
      for (const event of events) {
        if (event.type !== 'compensation_started' || before.rollback === null) continue;
        for (const item of run.template.stages.filter((other) => other.needs.includes(event.stage))) {
          const stage = run.state.stages.find((other) => other.name === item.name);
          expect(['planned', 'running']).not.toContain(stage?.compensation.status);
        }
      }
    });
  });
});
