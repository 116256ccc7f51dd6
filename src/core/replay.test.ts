import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide } from './decide.js';
import { effectsOf } from './effects.js';
import { assert, VaporaError } from './errors.js';
import type { WorkflowEvent } from './events.js';
import { applyEntry, evolve } from './evolve.js';
import type { WorkflowInput } from './inputs.js';
import { isLive, isTerminal, type TaskState, type WorkflowInstance } from './instance.js';
import { Ledger } from './ledger.suite.js';
import { arbitraryMoves, arbitraryTemplate, inputOf, type Move } from './random.suite.js';
import { ALLOW, DENY, Scenario } from './scenario.suite.js';
import type { WorkflowTemplate } from './template.js';

const RUNS = 250;

interface Step {
  /** Null: time passed. */
  readonly input: WorkflowInput | null;
  readonly before: WorkflowInstance;
  readonly events: readonly WorkflowEvent[];
}

/** Plays the moves and looks after each of them; what can't be granted is passed over. */
function always(check: (run: Scenario, step: Step) => void, end: (run: Scenario) => void = () => {}): void {
  const property = fc.property(arbitraryTemplate, arbitraryMoves, (template, moves) => {
    end(play(template, moves, check));
  });
  fc.assert(property, { numRuns: RUNS });
}

function play(
  template: WorkflowTemplate,
  moves: readonly Move[],
  check: (run: Scenario, step: Step) => void = () => {},
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
      continue;
    }
    check(run, { input: input === 'wait' ? null : input, before, events: run.events.slice(known) });
  }
  return run;
}

/** As it comes back from the disk. */
function stored<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) frozen(part);
  }
  return value;
}

/** What a state says apart from how much was written about it. */
function substance({ revision: _, seq: __, updatedAt: ___, ...rest }: WorkflowInstance) {
  return rest;
}

function tasksOf(instance: WorkflowInstance): readonly (readonly [string, TaskState])[] {
  return instance.stages.flatMap((stage) => [
    ...stage.tasks.map((task) => [`${stage.name}/${task.role}`, task] as const),
    ...stage.compensation.tasks.map((task) => [`${stage.name}/undo/${task.role}`, task] as const),
  ]);
}

describe('any history', () => {
  it('holds nothing that a second, simpler reading forbids', () => {
    const property = fc.property(arbitraryTemplate, arbitraryMoves, (template, moves) => {
      const run = new Scenario(template);
      const ledger = new Ledger(template);
      for (const event of run.events) ledger.read(event);
      for (const move of moves) {
        const input = inputOf(run, move);
        const known = run.events.length;
        try {
          if (input === 'wait') run.passTime();
          else run.send(input);
        } catch (error) {
          if (!(error instanceof VaporaError)) throw error;
        }
        for (const event of run.events.slice(known)) ledger.read(event);
        const executing = run.effects.filter((effect) => effect.type === 'execute');
        const attempts = executing.map((at) => JSON.stringify([at.stage, at.kind, at.role, at.attempt]));
        expect(attempts.sort()).toEqual([...ledger.inFlight].sort());
      }
    });
    fc.assert(property, { numRuns: RUNS });
  });

  it('gives the same state from any prefix on, also when both come back from the disk', () => {
    const property = fc.property(arbitraryTemplate, arbitraryMoves, fc.nat(), (template, moves, cut) => {
      const commits: { readonly state: WorkflowInstance; readonly events: readonly WorkflowEvent[] }[] = [];
      const first = new Scenario(template);
      commits.push({ state: first.state, events: [...first.events] });
      const run = play(template, moves, (now, { before, events }) => {
        if (now.state !== before) commits.push({ state: now.state, events });
      });
      const from = cut % commits.length;
      let state = stored(commits[from]?.state);
      assert(state !== undefined, 'there is a first commit');
      for (const { state: after, events } of commits.slice(from + 1)) {
        const at = after.updatedAt;
        const entry = { instance: after.id, revision: after.revision, firstSeq: state.seq + 1, at, events };
        state = applyEntry(template, state, stored(entry));
        expect(stored(state)).toEqual(stored(after));
      }
      expect(state.seq).toBe(run.events.length);
      expect(effectsOf(template, state, run.now)).toEqual(run.effects);
    });
    fc.assert(property, { numRuns: RUNS });
  });

  it('goes only forward: revisions, sequence numbers, times and attempts', () => {
    always((run, { before, events }) => {
      const after = run.state;
      expect(after.seq).toBe(before.seq + events.length);
      expect(after.revision).toBe(before.revision + (events.length > 0 ? 1 : 0));
      expect(after.updatedAt).toBeGreaterThanOrEqual(before.updatedAt);
      const attempts = new Map(tasksOf(before).map(([name, task]) => [name, task.attempt]));
      for (const [name, task] of tasksOf(after)) {
        expect(task.attempt).toBeGreaterThanOrEqual(attempts.get(name) ?? 0);
        attempts.delete(name);
      }
      expect([...attempts.keys()], 'no task is forgotten').toEqual([]);
    });
  });
});

describe('an input', () => {
  it('leads to the same events each time, and leaves the state that it met as it was', () => {
    always((run, { input, before, events }) => {
      if (input === null) return;
      const again = () => decide(run.template, frozen(before), frozen(input), run.moment);
      expect(again()).toEqual(events);
      expect(again()).toEqual(events);
    });
  });

  it('that arrives a second time changes nothing, unless a person wishes it a second time', () => {
    always((run, { input }) => {
      // a task that is called for again was answered, and asked for anew
      if (input === null || 'by' in input || input.type === 'assigned' || input.type === 'unserved') return;
      if (input.type === 'authorization' || input.type === 'tick') return;
      const events = decide(run.template, run.state, input, run.moment);
      expect(events.every((event) => event.type === 'late_result_ignored')).toBe(true);
    });
  });

  it('that answers what nobody asks changes nothing', () => {
    always((run, { input }) => {
      if (input?.type !== 'assigned' && input?.type !== 'unserved' && input?.type !== 'authorization') return;
      const isAsked = run.effects.some((effect) => {
        if (effect.type === 'assign' && input.type !== 'authorization') {
          return effect.stage === input.stage && effect.role === input.role && effect.kind === input.kind;
        }
        return effect.type === 'authorize' && input.type === 'authorization' && effect.stage === input.stage;
      });
      if (!isAsked) expect(decide(run.template, run.state, input, run.moment)).toEqual([]);
    });
  });

  it('that is denied is recorded and changes nothing else', () => {
    always((run, { input }) => {
      if (input === null || !('by' in input)) return;
      const events = decide(run.template, run.state, { ...input, decision: DENY }, run.moment);
      expect(events.map((event) => event.type)).toEqual(['action_authorized']);
      const [event] = events;
      assert(event !== undefined, 'the denial is recorded');
      const after = evolve(run.template, run.state, event, { id: run.state.id, at: run.now });
      expect(substance(after)).toEqual(substance(run.state));
    });
  });

  it('of a clock that jumped back is taken as one of now', () => {
    always((run, { input, before }) => {
      if (input === null) return;
      const decideAt = (now: number) => decide(run.template, before, input, { ...run.moment, now });
      expect(decideAt(before.updatedAt - 3_600_000)).toEqual(decideAt(before.updatedAt));
    });
  });
});

describe('an instance that has ended', () => {
  const strays = fc.array(arbitraryMoves, { minLength: 1, maxLength: 3 });

  it('hears nothing any more but words on its dead letters', () => {
    const property = fc.property(arbitraryTemplate, arbitraryMoves, strays, (template, moves, late) => {
      const run = play(template, moves);
      if (!isTerminal(run.state.status)) return;
      const ended = run.state;
      // whatever was on its way when it ended, its own old words included
      for (const move of late.flat()) {
        const input = inputOf(run, move);
        if (input === 'wait' || 'by' in input) continue;
        const events = decide(template, ended, input, run.moment);
        if (!isLive(ended)) expect(events).toEqual([]);
        for (const event of events)
          expect('kind' in event ? event.kind : event.type).toMatch(
            /^(compensate|stage_compensated|compensation_dead_lettered)$/,
          );
      }
    });
    fc.assert(property, { numRuns: RUNS });
  });

  it('keeps its stages, its error and its times for ever, whatever people wish', () => {
    always((run, { before }) => {
      if (!isTerminal(before.status)) return;
      const kept = ({ status, endedAt, error, completions, rollback, stages }: WorkflowInstance) => ({
        status,
        endedAt,
        error,
        completions,
        rollback,
        stages: stages.map(({ compensation: _, ...stage }) => stage),
      });
      expect(kept(run.state)).toEqual(kept(before));
    });
  });

  it('can be worked off: every dead letter that is resolved leaves it still', () => {
    always(
      () => {},
      (run) => {
        if (!isTerminal(run.state.status)) return;
        for (const { name, compensation } of run.state.stages) {
          if (compensation.status !== 'dead_lettered') continue;
          run.send({
            type: 'resolve_letter',
            by: run.state.initiator,
            decision: ALLOW,
            stage: name,
            reason: 'x',
          });
        }
        const open = run.state.stages.map((stage) => stage.compensation.status);
        expect(open).not.toContain('dead_lettered');
        expect(isLive(run.state)).toBe(open.includes('running'));
      },
    );
  });
});
