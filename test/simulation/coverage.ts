/** What the runs have come by: transitions, effects, points at which something went wrong, and how much of everything. */
import type { EngineCode } from './engine-code.js';

export interface Figures {
  seeds: number;
  instances: number;
  commits: number;
  events: number;
  faults: number;
  processes: number;
  wishes: number;
  /** Logs of instances that were read anew. */
  logs: number;
  /** Worlds that began anew from a part of another one's log. */
  prefixes: number;
}

export const NO_FIGURES: Figures = {
  seeds: 0,
  instances: 0,
  commits: 0,
  events: 0,
  faults: 0,
  processes: 0,
  wishes: 0,
  logs: 0,
  prefixes: 0,
};

export type Counts = Record<string, number>;
const PARTS = ['transitions', 'effects', 'faultPoints', 'wishes', 'ends'] as const;
export type CoverageData = Record<(typeof PARTS)[number], Counts> & { figures: Figures };

export class Coverage {
  readonly data: CoverageData = {
    transitions: {},
    effects: {},
    faultPoints: {},
    wishes: {},
    ends: {},
    figures: { ...NO_FIGURES },
  };

  transition(table: string, from: string, to: string): void {
    add(this.data.transitions, `${table}: ${from} -> ${to}`);
  }

  effect(name: string): void {
    add(this.data.effects, name);
  }

  faultPoint(name: string): void {
    add(this.data.faultPoints, name);
  }

  /** A wish and what came of it. */
  wish(name: string): void {
    add(this.data.wishes, name);
  }

  end(status: string): void {
    add(this.data.ends, status);
  }

  merge(other: CoverageData): void {
    for (const part of PARTS) {
      for (const [name, count] of Object.entries(other[part])) add(this.data[part], name, count);
    }
    for (const [name, count] of Object.entries(other.figures)) {
      this.data.figures[name as keyof Figures] += count;
    }
  }

  /** Transitions of the engine's tables that no run has come by. */
  missing({ instance }: EngineCode): string[] {
    const tables = {
      instance: instance.INSTANCE_TRANSITIONS,
      stage: instance.STAGE_TRANSITIONS,
      task: instance.TASK_TRANSITIONS,
      compensation: instance.COMPENSATION_TRANSITIONS,
    };
    return legalOf(tables).filter((name) => this.data.transitions[name] === undefined);
  }

  /** Transitions that the engine's tables do not know. */
  illegal({ instance }: EngineCode): string[] {
    const legal = legalOf({
      instance: instance.INSTANCE_TRANSITIONS,
      stage: instance.STAGE_TRANSITIONS,
      task: instance.TASK_TRANSITIONS,
      compensation: instance.COMPENSATION_TRANSITIONS,
    });
    return Object.keys(this.data.transitions).filter((name) => !legal.includes(name));
  }
}

function legalOf(tables: Record<string, Record<string, readonly string[]>>): string[] {
  return Object.entries(tables).flatMap(([table, from]) =>
    Object.entries(from).flatMap(([status, tos]) => tos.map((to) => `${table}: ${status} -> ${to}`)),
  );
}

function add(counts: Counts, name: string, count = 1): void {
  counts[name] = (counts[name] ?? 0) + count;
}
