/**
 * Runs an instance purely, against a scripted authorizer, scripted agents and a virtual clock: takes `effectsOf`, answers, and tells
 * `decide`. Checks on the way that the fold of the events is the state and keeps the transitions it saw.
 */
import { createHash } from 'node:crypto';
import { type AttemptUsage, NOTHING_SPENT, type Spent, spentBy, sum } from './budget.js';
import { type CreateInput, decide, decideCreate } from './decide.js';
import { type Effect, effectsOf } from './effects.js';
import { assert, failure } from './errors.js';
import type { WorkflowEvent } from './events.js';
import { applyEntry, evolve } from './evolve.js';
import type { Moment, WorkflowInput } from './inputs.js';
import { type ArtifactRef, type Decision, isTerminal, type WorkflowInstance } from './instance.js';
import { asDigest, asInstanceId, type Digest } from './names.js';
import {
  DEFAULT_COMPENSATION_RETRY,
  DEFAULT_RETRY,
  type StageTemplate,
  type WorkflowTemplate,
} from './template.js';
import { recordTransitions } from './transitions.suite.js';

export const START = 1_700_000_000_000;
/** Of the windows in which a budget is shared. */
export const WINDOW_MS = 86_400_000;

export function digestOf(text: string): Digest {
  return asDigest(createHash('sha256').update(text).digest('hex'));
}

export const ALLOW: Decision = {
  effect: 'allow',
  policies: ['p'],
  reason: 'permitted by p',
  errors: [],
  policySet: null,
};
export const DENY: Decision = { ...ALLOW, effect: 'deny', policies: [], reason: 'no permit matched' };
export const ANN = { user: 'ann', groups: ['ops'] };
export const ASSIGNMENT = { agent: 'agent-1', score: 1, successRate: 1, load: 0, candidates: 1 };

/** A stage carried out by `do-<name>` and taken back by `undo-<name>`, without chance in its delays. */
export function stage(name: string, more: Partial<StageTemplate> = {}): StageTemplate {
  return {
    name,
    agents: [`do-${name}`],
    parallel: false,
    maxParallel: 1,
    approvalRequired: false,
    approvalTimeoutMs: null,
    onApprovalTimeout: 'reject',
    compensationAgents: [`undo-${name}`],
    needs: [],
    timeoutMs: null,
    retry: { ...DEFAULT_RETRY, jitter: 0 },
    compensationRetry: { ...DEFAULT_COMPENSATION_RETRY, maxAttempts: 2, jitter: 0 },
    compensationTimeoutMs: 5_000,
    compensateFailed: 'completed_tasks',
    irreversible: false,
    budget: null,
    ...more,
  };
}

/** Each stage needs the one before it, unless it says otherwise by `needs`. */
export function template(
  stages: readonly (StageTemplate | string)[],
  more: Partial<WorkflowTemplate> = {},
): WorkflowTemplate {
  const full = stages.map((item) => (typeof item === 'string' ? stage(item) : item));
  const chained = full.map((item, index) => {
    const before = full[index - 1];
    return before === undefined || item.needs.length > 0 ? item : { ...item, needs: [before.name] };
  });
  const rest = { name: 'ship', trigger: 'manual', timeoutMs: null, onDeny: 'block' } as const;
  const { budget = null, onBreach = 'pause' } = more;
  return { ...rest, hash: digestOf('ship'), stages: chained, sagaParallelism: 1, ...more, budget, onBreach };
}

/** Stages side by side: with needs exactly as written. */
export function graph(
  stages: readonly StageTemplate[],
  more: Partial<WorkflowTemplate> = {},
): WorkflowTemplate {
  return { ...template([], more), stages };
}

/**
 * How an agent answers an attempt: done, failed retryably, failed for good, lost; `hang` leaves it in flight until a timer ends it,
 * `pause` until the scenario's next move; `unserved`: there is no agent for it.
 */
export type Reply = 'ok' | 'retry' | 'fail' | 'lost' | 'hang' | 'pause' | 'unserved';

export interface Script {
  /** By role; the last reply used up, `ok` follows. */
  readonly replies?: Readonly<Record<string, readonly Reply[]>>;
  /** How often the authorizer denies, by stage, before it allows. */
  readonly denials?: Readonly<Record<string, number>>;
  readonly retryOf?: WorkflowInstance;
  /** What every attempt that ends has used. */
  readonly usage?: AttemptUsage;
}

export class Scenario {
  readonly template: WorkflowTemplate;
  readonly events: WorkflowEvent[] = [];
  now = START;
  random = 0;
  state: WorkflowInstance;
  /** What other instances have used of what is shared, in the present window. */
  others: Spent = NOTHING_SPENT;
  readonly #replies: Map<string, Reply[]>;
  readonly #denials: Map<string, number>;
  readonly #given = new Map<string, Reply>();
  readonly #used: { readonly usage?: AttemptUsage };

  constructor(of: WorkflowTemplate, script: Script = {}) {
    this.template = of;
    this.#replies = new Map(Object.entries(script.replies ?? {}).map(([role, list]) => [role, [...list]]));
    this.#used = script.usage === undefined ? {} : { usage: script.usage };
    this.#denials = new Map(Object.entries(script.denials ?? {}));
    const create: CreateInput = {
      id: asInstanceId('wf-1'),
      input: { digest: digestOf('{}'), size: 2, inline: '{}' },
      initiator: ANN,
      labels: [],
      decision: ALLOW,
      retryOf: script.retryOf ?? null,
    };
    this.state = this.#commit(null, decideCreate(of, create, this.moment));
  }

  get moment(): Moment {
    const shared = (instance: WorkflowInstance) => {
      const fromAt = this.now - (this.now % WINDOW_MS);
      return { fromAt, untilAt: fromAt + WINDOW_MS, spent: sum(this.others, spentBy(instance)) };
    };
    return { now: this.now, random: () => this.random, digest: digestOf, shared };
  }

  get effects(): Effect[] {
    return effectsOf(this.template, this.state, this.now);
  }

  /** Decides and commits; answers the events. */
  send(input: WorkflowInput): readonly WorkflowEvent[] {
    const events = decide(this.template, this.state, input, this.moment);
    if (events.length > 0) this.state = this.#commit(this.state, events);
    return events;
  }

  #commit(before: WorkflowInstance | null, events: readonly WorkflowEvent[]): WorkflowInstance {
    const at = Math.max(this.now, before?.updatedAt ?? this.now);
    const id = asInstanceId('wf-1');
    let state = before;
    for (const event of events) {
      const next = evolve(this.template, state, event, { id, at });
      if (state !== null) recordTransitions(state, next, event);
      state = next;
    }
    this.events.push(...events);
    const revision = (before?.revision ?? 0) + 1;
    return applyEntry(this.template, before, {
      instance: id,
      revision,
      firstSeq: (before?.seq ?? 0) + 1,
      at,
      events,
    });
  }

  /** Goes on until only a timer, a paused attempt or a person could move the instance. */
  settle(): this {
    for (let turns = 0; this.#turn(); turns += 1) assert(turns < 2_000, 'the scenario comes to rest');
    return this;
  }

  /** Goes on, timers included, until only a paused attempt or a person could move the instance. */
  run(): this {
    for (let timers = 0; timers < 200; timers += 1) {
      this.settle();
      if (this.isPaused || !this.passTime()) return this;
    }
    throw new Error('the scenario never comes to rest');
  }

  /** Moves the clock to the next timer and rings it; false: there is none. */
  passTime(): boolean {
    const timer = this.effects.find((effect) => effect.type === 'timer');
    if (timer?.type !== 'timer') return false;
    this.now = Math.max(this.now, timer.at);
    this.send({ type: 'tick' });
    return true;
  }

  get isPaused(): boolean {
    const { status, stages } = this.state;
    const isResting = isTerminal(status) || status === 'waiting_approval' || status === 'blocked';
    if (isResting && !stages.some((item) => item.compensation.status === 'running')) return true;
    return this.effects.some(
      (effect) => effect.type === 'execute' && this.#given.get(keyOf(effect)) === 'pause',
    );
  }

  /** Answers one open question; false: none is left that is not put off. */
  #turn(): boolean {
    for (const effect of this.effects) {
      switch (effect.type) {
        case 'authorize': {
          const left = this.#denials.get(effect.stage) ?? 0;
          this.#denials.set(effect.stage, left - 1);
          this.send({ ...effect, type: 'authorization', decision: left > 0 ? DENY : ALLOW });
          return true;
        }
        case 'assign': {
          const isUnserved = this.#replies.get(effect.role)?.[0] === 'unserved';
          if (isUnserved) this.#replies.get(effect.role)?.shift();
          this.send(
            isUnserved
              ? { ...effect, type: 'unserved' }
              : { ...effect, type: 'assigned', assignment: ASSIGNMENT },
          );
          return true;
        }
        case 'execute':
          if (this.#given.has(keyOf(effect))) continue;
          this.answer(effect.role, this.#replies.get(effect.role)?.shift() ?? 'ok');
          return true;
        case 'timer':
      }
    }
    return false;
  }

  /** Has the agent that is at the role's task say something. */
  answer(role: string, reply: Reply): readonly WorkflowEvent[] {
    const effect = this.effects.find((item) => item.type === 'execute' && item.role === role);
    assert(effect?.type === 'execute', `an attempt of ${role} is in flight`);
    this.#given.set(keyOf(effect), reply);
    const { stage, kind, attempt } = effect;
    const at = { stage, role, kind, attempt };
    if (reply === 'lost') return this.send({ type: 'lost', ...at, reason: 'agent gone' });
    this.send({ type: 'started', ...at });
    if (reply === 'ok') {
      return this.send({
        type: 'succeeded',
        ...at,
        artifacts: [artifact(`${role}-${attempt}`)],
        output: null,
        log: null,
        ...this.#used,
      });
    }
    if (reply === 'hang' || reply === 'pause') return [];
    return this.send({
      type: 'failed',
      ...at,
      error: failure('agent_failed', `${role} failed`),
      isRetryable: reply === 'retry',
      log: null,
      ...this.#used,
    });
  }

  /** Values of one field of all events of a type, in order. */
  seen<T extends WorkflowEvent['type']>(type: T): Extract<WorkflowEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<WorkflowEvent, { type: T }> => event.type === type);
  }
}

export function artifact(name: string): ArtifactRef {
  return { name, kind: 'code', digest: digestOf(name), size: name.length };
}

function keyOf(at: { stage: string; role: string; kind: string; attempt: number }): string {
  return JSON.stringify([at.stage, at.role, at.kind, at.attempt]);
}
