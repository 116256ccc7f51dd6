/**
 * All that makes one run of the simulation what it is, as plain data: a file of `cases/` holds one. What is left to chance within a
 * run is drawn by name from `seed`, so that a scenario without some part of another one meets the same fate in the rest.
 */
import type { EventType } from '../../src/core/events.js';
import type { AgentInfo } from '../../src/core/ports.js';
import type { WorkflowTemplate } from '../../src/core/template.js';

export interface Scenario {
  readonly seed: number;
  /** Their hashes are computed from the rest. */
  readonly templates: readonly Omit<WorkflowTemplate, 'hash'>[];
  readonly agents: readonly AgentInfo[];
  /** Names of those who outlive the engine's process, under leases that their transport keeps. */
  readonly elsewhere?: readonly string[];
  readonly policy: readonly Rule[];
  /** Whether the rules are decided by Cedar, with the same rules evaluated here as what it has to say. */
  readonly isCedar: boolean;
  readonly maxParallelTasks: number | null;
  readonly starts: readonly StartPlan[];
  readonly wishes: readonly WishPlan[];
  readonly faults: readonly Fault[];
  readonly chances: Chances;
  /** From then on nothing goes wrong any more, all agents are there, and somebody settles what waits for a person. */
  readonly healAfterMs: number;
}

/** A forbid that matches denies; else a permit that matches allows; else it is denied. Null matches all. */
export interface Rule {
  readonly effect: 'permit' | 'forbid';
  readonly action: string | null;
  readonly workflow: string | null;
  /** Bare name; only with an action that is about a stage. */
  readonly stage: string | null;
  /** Of the person who acts; where the engine acts, of who started the instance. */
  readonly group: string | null;
}

export interface StartPlan {
  readonly atMs: number;
  readonly workflow: string;
  readonly id: string | null;
  readonly group: string;
  /** How often the same start is sent; more than once only with an id. */
  readonly times: number;
}

export const WISHES = [
  'approve',
  'approve_digest',
  'approve_stale',
  'reject',
  'cancel',
  'cancel_bare',
  'rollback',
  'rollback_to',
  'retry',
  'resume',
  'retry_letter',
  'resolve_letter',
] as const;
export type WishType = (typeof WISHES)[number];

export interface WishPlan {
  readonly type: WishType;
  /** Which of the starts. */
  readonly start: number;
  readonly stage: string;
  readonly group: string;
  readonly when:
    | { readonly atMs: number }
    /** As often as an event of the type has come to that point in the whole world. */
    | {
        readonly event: EventType;
        readonly nth: number;
        readonly moment: Moment;
        readonly delayMs: number;
      };
}
/** `saving`: its commit is asked for; `durable`: it is on disk and the engine does not know yet; `told`: listeners are told. */
export type Moment = 'saving' | 'durable' | 'told';

/** Ways out of the process that a crash can stand before or behind. */
export const PORTS = [
  'save',
  'load',
  'load_active',
  'list',
  'blob',
  'template',
  'authorize',
  'agents',
  'dispatch',
  'resume',
  'stop',
  'timer',
  'answer',
] as const;
export type Port = (typeof PORTS)[number];

interface Restart {
  readonly downMs: number;
  /** How the next process's clock differs from the world's. */
  readonly clockMs: number;
}

export type Fault =
  /** At the `nth` call of the port, counted over all processes. */
  | ({
      readonly kind: 'crash';
      readonly port: Port;
      readonly nth: number;
      readonly moment: 'before' | 'after';
    } & Restart)
  /** So many microtasks after something has come into the process for the `nth` time. */
  | ({ readonly kind: 'crash_within'; readonly nth: number; readonly ticks: number } & Restart)
  /** The `nth` transaction: `lost` fails and is not written, `unsure` fails and is written, `slow` takes its time. */
  | {
      readonly kind: 'commit';
      readonly nth: number;
      readonly how: 'lost' | 'unsure' | 'slow';
      readonly ms: number;
    }
  /** The process stands still. With `takeover`, another one has opened the store when it goes on. */
  | {
      readonly kind: 'pause';
      readonly atMs: number;
      readonly forMs: number;
      readonly takeover: boolean;
      readonly clockMs: number;
    }
  /** The process's clock goes ahead at once. */
  | { readonly kind: 'jump'; readonly atMs: number; readonly ms: number }
  /** The agent is away; null: until everything is healed. */
  | {
      readonly kind: 'away';
      readonly agent: string;
      readonly atMs: number;
      readonly forMs: number | null;
    }
  | { readonly kind: 'policy'; readonly atMs: number; readonly rules: readonly Rule[] };

/** Shares of cases, 0 to 1. */
export const CHANCES = [
  'slow',
  'fail',
  'fail_for_good',
  'die',
  'hang',
  'late',
  'twice',
  'claim_done',
  'claim_failed',
  'claim_at_once',
  'make_nothing',
  'step_changed',
  'late_words',
  'no_comeback',
  'look',
  'step',
  'big',
  'order_lost',
  'order_late',
  'order_twice',
  'answer_lost',
  'answer_late',
  'beat_lost',
  'slow_stop',
  'deaf_stop',
  'slow_store',
  'slow_content',
  'early_wake',
  'landed',
  'approved',
  'rejected',
  'turned_back',
  'tried_again',
] as const;
export type Chance = (typeof CHANCES)[number];
export type Chances = Readonly<Record<Chance, number>>;
