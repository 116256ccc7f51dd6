/**
 * What the instances of templates have used of the budgets that they share, in the windows of this moment. It is derived: the store
 * keeps what each commit has added by the hour, and what this process has decided since is added here.
 */
import {
  type Charge,
  NOTHING_SPENT,
  type SharedBudget,
  type SharedUse,
  type Spent,
  spentBy,
  sum,
} from '../core/budget.js';
import type { WorkflowInstance } from '../core/instance.js';
import type { Clock, WorkflowStore } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';

type Window = SharedBudget['per'];

const WINDOWS: readonly Window[] = ['hour', 'day', 'week', 'month'];
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
/** The first Monday since the epoch. */
const MONDAY_MS = 4 * DAY_MS;

/** The window of calendar time, UTC, that `at` is in; weeks begin on Monday. */
export function windowAt(per: Window, at: number): { readonly fromAt: number; readonly untilAt: number } {
  if (per === 'month') {
    const date = new Date(at);
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
    return { fromAt: Date.UTC(year, month, 1), untilAt: Date.UTC(year, month + 1, 1) };
  }
  const lengthMs = { hour: HOUR_MS, day: DAY_MS, week: WEEK_MS }[per];
  const offsetMs = per === 'week' ? MONDAY_MS : 0;
  const fromAt = Math.floor((at - offsetMs) / lengthMs) * lengthMs + offsetMs;
  return { fromAt, untilAt: fromAt + lengthMs };
}

/** Whatever a window of this moment may hold. */
export function oldestChargeAt(now: number): number {
  return Math.min(...WINDOWS.map((per) => windowAt(per, now).fromAt));
}

const NOT_SHARED: SharedUse = { spent: NOTHING_SPENT, fromAt: 0, untilAt: 0 };

interface Sum {
  readonly fromAt: number;
  readonly spent: Spent;
}

export class Tally {
  readonly #store: Pick<WorkflowStore, 'charges'>;
  readonly #clock: Clock;
  /** By workflow and window: of the latest window that something was used in. */
  readonly #sums = new Map<string, Sum>();
  #loading: Promise<void> | null = null;

  constructor(store: Pick<WorkflowStore, 'charges'>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Resolves once it knows what was used before this process. Nothing is read where nobody shares a budget. */
  ready({ sharedBudget }: WorkflowTemplate): Promise<void> {
    if (sharedBudget === undefined) return Promise.resolve();
    // a store that could not be read once is asked again
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }

  add({ workflow, hour, spent }: Charge): void {
    for (const per of WINDOWS) {
      const key = `${per} ${workflow}`;
      const { fromAt } = windowAt(per, hour);
      const known = this.#sums.get(key);
      // of a window that is over already
      if (known !== undefined && known.fromAt > fromAt) continue;
      this.#sums.set(key, { fromAt, spent: known?.fromAt === fromAt ? sum(known.spent, spent) : spent });
    }
  }

  useOf(workflow: string, per: Window, now: number): SharedUse {
    const window = windowAt(per, now);
    const known = this.#sums.get(`${per} ${workflow}`);
    return { ...window, spent: known?.fromAt === window.fromAt ? known.spent : NOTHING_SPENT };
  }

  /** For decisions upon an instance, of which `committed` is counted here already: what it has used since is used too. */
  useFor(
    { name, sharedBudget }: WorkflowTemplate,
    committed: WorkflowInstance | null,
    now: number,
  ): (instance: WorkflowInstance) => SharedUse {
    if (sharedBudget === undefined) return () => NOT_SHARED;
    return (instance) => {
      const use = this.useOf(name, sharedBudget.per, now);
      const before = committed === null ? NOTHING_SPENT : spentBy(committed);
      return { ...use, spent: sum(use.spent, sum(spentBy(instance), before, -1)) };
    };
  }

  async #load(): Promise<void> {
    for (const charge of await this.#store.charges(oldestChargeAt(this.#clock.now()))) this.add(charge);
  }
}
