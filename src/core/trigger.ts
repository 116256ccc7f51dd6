/** What starts instances of a template besides people. Part of the template: an instance keeps what it was started by. */
import type { InstanceStatus } from './instance.js';

/** What an instance that is already going on does to one that is due: no start, a start once it has ended, a start at once. */
export type Overlap = 'skip' | 'wait' | 'allow';
/** What happens with times that passed while no engine was running: nothing, a start for the last of them, a start for each. */
export type CatchUp = 'skip' | 'latest' | 'all';
export type EndedStatus = Extract<InstanceStatus, 'completed' | 'failed' | 'cancelled'>;

/** In whose name instances are started: what the authorizer sees. */
export interface TriggerInitiator {
  readonly user: string;
  readonly groups: readonly string[];
}

export interface ScheduleTrigger {
  readonly kind: 'schedule';
  /** Five fields, or six with seconds first. */
  readonly cron: string;
  /** Of the IANA database. */
  readonly timezone: string;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  /** Times that passed longer ago are never caught up. */
  readonly catchUpWithinMs: number;
  readonly initiator: TriggerInitiator;
  /** JSON object: the input of every instance. */
  readonly input: Readonly<Record<string, unknown>>;
}

export interface WebhookTrigger {
  readonly kind: 'webhook';
  /** `standard`: Standard Webhooks; `github`: `X-Hub-Signature-256`. */
  readonly scheme: 'standard' | 'github';
  /** Name of the environment variable that holds the secret. */
  readonly secretEnv: string;
  /** How far the sender's clock may be from ours: what is older is a replay. */
  readonly toleranceMs: number;
  readonly initiator: TriggerInitiator;
  /** Key of the input to JSON Pointer into the body; null: the body is the input. */
  readonly input: readonly (readonly [string, string])[] | null;
  /** JSON Pointer to the text that has to be there; otherwise the delivery is taken and starts nothing. */
  readonly match: readonly (readonly [string, string])[];
}

export interface WorkflowTrigger {
  readonly kind: 'workflow';
  /** Name of the template whose ends are waited for. */
  readonly workflow: string;
  readonly states: readonly EndedStatus[];
  /** Null: that of the instance that ended. */
  readonly initiator: TriggerInitiator | null;
}

export type Trigger = ScheduleTrigger | WebhookTrigger | WorkflowTrigger;

/** Workflows that start each other one after the other: more is a mistake, and each end could set all of them going. */
export const MAX_CHAIN = 16;

interface Triggered {
  readonly name: string;
  readonly trigger: 'manual' | Trigger;
}

/**
 * Why the templates' `workflow` triggers can't stand together, by template: a name that is none, a circle, a chain that is too long.
 */
export function chainProblems(
  templates: ReadonlyMap<string, Triggered>,
): ReadonlyMap<string, { readonly code: 'unknown' | 'circle' | 'long'; readonly trail: readonly string[] }> {
  const problems = new Map<string, { code: 'unknown' | 'circle' | 'long'; trail: readonly string[] }>();
  for (const { name, trigger } of templates.values()) {
    if (trigger === 'manual' || trigger.kind !== 'workflow') continue;
    if (!templates.has(trigger.workflow)) {
      problems.set(name, { code: 'unknown', trail: [trigger.workflow] });
      continue;
    }
    const trail = trailOf(templates, name);
    if (trail.length > 1 && trail.at(-1) === name) problems.set(name, { code: 'circle', trail });
    else if (trail.length > MAX_CHAIN) problems.set(name, { code: 'long', trail });
  }
  return problems;
}

/** The template, what triggers it, what triggers that, …: ends where somebody else does it, or where it comes back. */
function trailOf(templates: ReadonlyMap<string, Triggered>, name: string): string[] {
  const trail = [name];
  for (let last = name; ; ) {
    const trigger = templates.get(last)?.trigger;
    if (trigger === undefined || trigger === 'manual' || trigger.kind !== 'workflow') return trail;
    last = trigger.workflow;
    const isSeen = trail.includes(last);
    trail.push(last);
    if (isSeen) return trail;
  }
}
