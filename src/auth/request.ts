/** A request of the engine in Cedar's JSON: who, what, on what, and the entities that the policies may ask about. */
import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Amounts, AuthorizationContext, AuthorizationRequest } from '../core/ports.js';
import type { EntityIndex } from './entities.js';

/** Characters of an id, a group, a label (`key=value`). */
export const MAX_ID_CHARACTERS = 1_024;
/** Groups, labels, agents and approvals of a request, each. */
export const MAX_LIST_ENTRIES = 256;

export interface CedarRequest {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Record<string, CedarValueJson>;
  readonly entities: EntityJson[];
}

// A surrogate without its other half: not a character, and the evaluator throws on it.
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Why the request must not reach the evaluator, or null. Ids come from clients. */
export function refusalOf(request: AuthorizationRequest): string | null {
  const { principal, resource, context } = request;
  const lists: [string, readonly string[]][] = [
    ['groups', principal.groups],
    ['groups of the initiator', context.initiator.groups],
    ['labels', labelsOf(context)],
    ['agents', context.agents],
    ['approvals', context.approvals.flatMap((approval) => [approval.stage, approval.by])],
  ];
  for (const [what, list] of lists) {
    const limit = what === 'approvals' ? MAX_LIST_ENTRIES * 2 : MAX_LIST_ENTRIES;
    if (list.length > limit) return `too many ${what}, at most ${MAX_LIST_ENTRIES} are allowed`;
    for (const text of list) {
      const problem = textProblem(text);
      if (problem !== null) return `${problem} among the ${what}`;
    }
  }
  const ids: [string, string][] = [
    ['principal', principal.id],
    ['action', request.action],
    ['resource', resource.id],
    ['workflow', 'workflow' in resource ? resource.workflow : ''],
    ['initiator', context.initiator.user],
    ['instance', context.instance],
  ];
  for (const [what, id] of ids) {
    const problem = textProblem(id);
    if (problem !== null) return `${problem} as the ${what}`;
  }
  if (Object.keys(context.labels).some((key) => key.includes('='))) return 'a label with `=` in its key';
  if (typeof context.irreversible !== 'boolean') return 'neither true nor false as `irreversible`';
  if (!Number.isSafeInteger(context.attempt)) return 'an attempt that is not a whole number';
  const numbers = amountsOf(context).flatMap(({ tokens, microUsd, seconds }) => [tokens, microUsd, seconds]);
  if (!numbers.every(Number.isSafeInteger)) return 'an amount that is not a whole number';
  return null;
}

function textProblem(text: unknown): string | null {
  if (typeof text !== 'string') return 'something that is no text';
  if (text.length > MAX_ID_CHARACTERS) return `a text of more than ${MAX_ID_CHARACTERS} characters`;
  return LONE_SURROGATE.test(text) ? 'a text that is not valid Unicode' : null;
}

export function labelsOf(context: AuthorizationContext): readonly string[] {
  return Object.entries(context.labels).map(([key, value]) => `${key}=${value}`);
}

export const sorted = (list: readonly string[]): string[] => [...new Set(list)].sort();

/** The whole request in one text; equal texts are equal requests. */
export function requestKey({ principal, action, resource, context }: AuthorizationRequest): string {
  return JSON.stringify([
    [principal.type, principal.id, sorted(principal.groups)],
    action,
    [resource.type, resource.id, 'workflow' in resource ? resource.workflow : null],
    [context.initiator.user, sorted(context.initiator.groups)],
    [context.instance, context.attempt, context.irreversible],
    amountsOf(context).map((each) => [each.tokens, each.microUsd, each.seconds]),
    [sorted(labelsOf(context)), sorted(context.agents)],
    context.approvals.map(({ stage, by }) => JSON.stringify([stage, by])).sort(),
  ]);
}

/** Recorded requests may be older than the amounts. */
const NONE: Amounts = { tokens: 0, microUsd: 0, seconds: 0 };

/** In the order of the context's own fields. */
export function amountsOf(context: Partial<AuthorizationContext>): Amounts[] {
  const { spent, budget, stageSpent, stageBudget, sharedSpent, sharedBudget } = context;
  return [spent, budget, stageSpent, stageBudget, sharedSpent, sharedBudget].map((each) => each ?? NONE);
}

function amounts({ tokens, microUsd, seconds }: Amounts = NONE): CedarValueJson {
  return { tokens, micro_usd: microUsd, seconds };
}

const user = (id: string): TypeAndId => ({ type: 'User', id });
const group = (id: string): TypeAndId => ({ type: 'Group', id });
const reference = (uid: TypeAndId): CedarValueJson => ({ __entity: uid });

/** The request for Cedar. Entities are those of the request and what `index` knows about them and all that they refer to. */
export function toCedar(request: AuthorizationRequest, index: EntityIndex): CedarRequest {
  const { context } = request;
  const principal = { type: request.principal.type, id: request.principal.id };
  const initiator = user(context.initiator.user);
  const approvals = context.approvals.map(({ stage, by }) => ({ stage, by: reference(user(by)) }));
  const own: EntityJson[] = [entity(principal, request.principal.groups.map(group)), ...resourceOf(request)];
  // One person has one set of groups: who acts now counts, not what was claimed when the instance was started.
  if (principal.type !== 'User' || principal.id !== initiator.id) {
    own.push(entity(initiator, context.initiator.groups.map(group)));
  }
  return {
    principal,
    action: { type: 'Action', id: request.action },
    resource: { type: request.resource.type, id: request.resource.id },
    context: {
      initiator: reference(initiator),
      instance: context.instance,
      attempt: context.attempt,
      labels: sorted(labelsOf(context)),
      agents: sorted(context.agents),
      approvals,
      irreversible: context.irreversible,
      spent: amounts(context.spent),
      budget: amounts(context.budget),
      stage_spent: amounts(context.stageSpent),
      stage_budget: amounts(context.stageBudget),
      shared_spent: amounts(context.sharedSpent),
      shared_budget: amounts(context.sharedBudget),
    },
    entities: index.complete(
      own,
      context.approvals.map(({ by }) => user(by)),
    ),
  };
}

function entity(
  uid: TypeAndId,
  parents: TypeAndId[],
  attrs: Record<string, CedarValueJson> = {},
): EntityJson {
  return { uid, attrs, parents };
}

function resourceOf({ resource }: AuthorizationRequest): EntityJson[] {
  if (resource.type === 'Engine') return [entity({ type: 'Engine', id: resource.id }, [])];
  if (resource.type === 'Workflow') return [workflowOf(resource.id)];
  const workflow = workflowOf(resource.workflow);
  const uid = { type: 'Workflow', id: resource.workflow };
  const attrs = { name: resource.id, workflow: reference(uid) };
  return [workflow, entity({ type: resource.type, id: resource.id }, [uid], attrs)];
}

function workflowOf(name: string): EntityJson {
  return entity({ type: 'Workflow', id: name }, [], { name });
}
