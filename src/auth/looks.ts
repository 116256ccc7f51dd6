/**
 * What of a request the policies look at: two requests that are equal in that are decided alike. It is read off the policies' syntax, and
 * whatever is not plain there counts as looked at.
 *
 * INVARIANT: all that is known about a resource comes with the request: `entities.json` can't name one.
 */
import type { EntityUidJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Amounts, AuthorizationContext, AuthorizationRequest } from '../core/ports.js';
import { plainUid } from './entities.js';
import { amountsOf, labelsOf, requestKey, sorted } from './request.js';

/** Principal, action, the resource's type and its workflow are always looked at. */
export interface Looks {
  /** The whole request. */
  everything: boolean;
  /** The resource's own id. */
  resource: boolean;
  /** Types of entities that the resource is compared with by name. */
  readonly compared: Set<string>;
  /** Whether the initiator is the principal, or all about them. */
  initiator: 'nothing' | 'sameness' | 'all';
  /** These, or all of them. */
  labels: Set<string> | 'all';
  /** Other fields of the context, by the names that policies have for them. */
  readonly fields: Set<string>;
}

/** How the fields of the context go into a key. */
const FIELDS: Readonly<Record<string, (context: AuthorizationContext) => unknown>> = {
  instance: ({ instance }) => instance,
  attempt: ({ attempt }) => attempt,
  agents: ({ agents }) => sorted(agents),
  approvals: ({ approvals }) => approvals.map(({ stage, by }) => JSON.stringify([stage, by])).sort(),
  irreversible: ({ irreversible }) => irreversible,
  ...Object.fromEntries(
    ['spent', 'budget', 'stage_spent', 'stage_budget', 'shared_spent', 'shared_budget'].map((name, index) => [
      name,
      (context: AuthorizationContext) => amountKey(amountsOf(context)[index]),
    ]),
  ),
};

function amountKey(amounts: Amounts | undefined): unknown {
  return amounts === undefined ? null : [amounts.tokens, amounts.microUsd, amounts.seconds];
}

/** What of it the policies look at; equal texts are decided alike. */
export function decisionKey(request: AuthorizationRequest, looks: Looks): string {
  if (looks.everything) return requestKey(request);
  const { principal, action, resource, context } = request;
  const { initiator } = context;
  const seesId = looks.resource || looks.compared.has(resource.type);
  const labels = new Set(labelsOf(context));
  return JSON.stringify([
    [principal.type, principal.id, sorted(principal.groups)],
    action,
    [resource.type, 'workflow' in resource ? resource.workflow : null, seesId ? resource.id : null],
    looks.initiator === 'nothing'
      ? null
      : looks.initiator === 'all'
        ? [initiator.user, sorted(initiator.groups)]
        : principal.type === 'User' && principal.id === initiator.user,
    looks.labels === 'all' ? [...labels].sort() : [...looks.labels].map((label) => labels.has(label)),
    [...looks.fields].map((name) => FIELDS[name]?.(context) ?? null),
  ]);
}

/** Of the policies that may apply where an action, a principal and a resource of these types are given. Null: one that can't be read. */
export function looksOf(
  policies: Iterable<PolicyJson | null>,
  { action, principal, resource }: AuthorizationRequest,
): Looks {
  const looks: Looks = {
    everything: false,
    resource: false,
    compared: new Set(),
    initiator: 'nothing',
    labels: new Set(),
    fields: new Set(),
  };
  for (const policy of policies) {
    if (policy === null) looks.everything = true;
    else if (mayApply(policy, action, principal.type, resource.type)) addPolicy(policy, looks);
  }
  return looks;
}

/** Where a scope does not match, the conditions are not evaluated. */
function mayApply(policy: PolicyJson, action: string, principal: string, resource: string): boolean {
  const isOther =
    policy.action.op === '==' && 'entity' in policy.action && plainUid(policy.action.entity).id !== action;
  return !isOther && typeMatches(policy.principal, principal) && typeMatches(policy.resource, resource);
}

function typeMatches(scope: PolicyJson['principal'] | PolicyJson['resource'], type: string): boolean {
  if (scope.op === 'is') return scope.entity_type === type;
  return scope.op !== '==' || !('entity' in scope) || plainUid(scope.entity).type === type;
}

function addPolicy({ resource, conditions }: PolicyJson, looks: Looks): void {
  const named = resource.op === 'is' ? resource.in : resource.op === 'All' ? undefined : resource;
  if (named !== undefined) {
    if ('entity' in named) looks.compared.add(plainUid(named.entity as EntityUidJson).type);
    else looks.everything = true;
  }
  for (const { body } of conditions) look(body, looks);
}

/** An expression as Cedar writes it in JSON: an object whose only key is the operator. */
type Node = Readonly<Record<string, unknown>>;

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isVar(value: unknown, name: string): boolean {
  return isNode(value) && value.Var === name;
}

/** The field of the context that the expression is, or null. */
function contextField(value: unknown): string | null {
  const access = isNode(value) ? value['.'] : undefined;
  if (!isNode(access) || !isVar(access.left, 'context')) return null;
  return typeof access.attr === 'string' ? access.attr : null;
}

function isWorkflowOfResource(value: unknown): boolean {
  const access = isNode(value) ? value['.'] : undefined;
  return isNode(access) && isVar(access.left, 'resource') && access.attr === 'workflow';
}

/** Operators whose operands are looked at, and nothing else. */
const PLAIN = new Set([
  '!',
  'neg',
  '<',
  '<=',
  '>',
  '>=',
  '&&',
  '||',
  '+',
  '-',
  '*',
  'isEmpty',
  'if-then-else',
  'Record',
]);

function look(value: unknown, looks: Looks): void {
  const [operator = '', operands] = isNode(value) ? (Object.entries(value)[0] ?? []) : [];
  if (operator === 'Value') return;
  if (operator === 'Var') return lookAtVar(operands, looks);
  if (Array.isArray(operands)) {
    // a set, or a call of an extension
    for (const operand of operands) look(operand, looks);
    return;
  }
  if (!isNode(operands)) {
    looks.everything = true;
    return;
  }
  if (PLAIN.has(operator)) for (const operand of Object.values(operands)) look(operand, looks);
  else (LOOKERS[operator] ?? lookAtAll)(operands, looks);
}

function lookAtAll(_: Node, looks: Looks): void {
  looks.everything = true;
}

/** As a whole, wherever no operator below makes less of it. */
function lookAtVar(name: unknown, looks: Looks): void {
  if (name === 'resource') looks.resource = true;
  else if (name !== 'principal' && name !== 'action') looks.everything = true;
}

const LOOKERS: Readonly<Record<string, (operands: Node, looks: Looks) => void>> = {
  '.': lookAtAttribute,
  has: lookAtAttribute,
  like: ({ left }, looks) => look(left, looks),
  '==': lookAtEquality,
  '!=': lookAtEquality,
  in: ({ left, right }, looks) => lookAtAncestors(left, right, looks),
  is: (operands, looks) => {
    if ('in' in operands) lookAtAncestors(operands.left, operands.in, looks);
    else if (!isVar(operands.left, 'resource')) look(operands.left, looks);
  },
  contains: lookAtContents,
  containsAny: lookAtContents,
  containsAll: lookAtContents,
  getTag: lookAtTag,
  hasTag: lookAtTag,
};

function lookAtAttribute({ left, attr }: Node, looks: Looks): void {
  if (typeof attr !== 'string') looks.everything = true;
  else if (isVar(left, 'context')) lookAtField(attr, looks);
  else if (isVar(left, 'resource')) looks.resource ||= attr !== 'workflow';
  else lookInto(left, looks);
}

function lookAtField(name: string, looks: Looks): void {
  if (name === 'initiator') looks.initiator = 'all';
  else if (name === 'labels') looks.labels = 'all';
  else if (Object.hasOwn(FIELDS, name)) looks.fields.add(name);
  else looks.everything = true;
}

/**
 * What is known about an entity is looked at, not just which one it is. Of any but these it could be an entity of the request itself, by
 * another way.
 */
function lookInto(value: unknown, looks: Looks): void {
  const isKeyed = isVar(value, 'principal') || contextField(value) !== null || isWorkflowOfResource(value);
  if (isKeyed) look(value, looks);
  else looks.everything = true;
}

function lookAtTag({ left, right }: Node, looks: Looks): void {
  if (isVar(left, 'resource')) looks.resource = true;
  else lookInto(left, looks);
  look(right, looks);
}

function lookAtAncestors(left: unknown, right: unknown, looks: Looks): void {
  const types = isVar(left, 'resource') ? literalTypes(right) : null;
  if (types !== null) for (const type of types) looks.compared.add(type);
  else {
    if (isVar(left, 'resource')) looks.resource = true;
    else lookInto(left, looks);
    look(right, looks);
  }
}

/** Types of the entities that the expression names, where it does nothing else. */
function literalTypes(value: unknown): readonly string[] | null {
  if (!isNode(value)) return null;
  if (Array.isArray(value.Set)) {
    const types = value.Set.map(literalTypes);
    return types.every((each) => each !== null) ? types.flat() : null;
  }
  const literal = value.Value;
  return isNode(literal) && isNode(literal.__entity) ? [String(literal.__entity.type)] : null;
}

function lookAtEquality({ left, right }: Node, looks: Looks): void {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ]) {
    const types = isVar(one, 'resource') ? literalTypes(other) : null;
    if (types !== null) {
      for (const type of types) looks.compared.add(type);
      return;
    }
    if (contextField(one) === 'initiator' && isVar(other, 'principal')) {
      if (looks.initiator === 'nothing') looks.initiator = 'sameness';
      return;
    }
  }
  look(left, looks);
  look(right, looks);
}

function lookAtContents({ left, right }: Node, looks: Looks): void {
  const wanted = contextField(left) === 'labels' ? literalTexts(right) : null;
  if (wanted === null) {
    look(left, looks);
    look(right, looks);
  } else if (looks.labels !== 'all') for (const label of wanted) looks.labels.add(label);
}

function literalTexts(value: unknown): readonly string[] | null {
  if (!isNode(value)) return null;
  if (typeof value.Value === 'string') return [value.Value];
  if (!Array.isArray(value.Set)) return null;
  const texts = value.Set.map(literalTexts);
  return texts.every((each) => each !== null) ? texts.flat() : null;
}
