/** Authorization requests from what people type: `vapora policy test --principal 'User::"ann"' …`. */
import { z } from 'zod';
import { findAmbiguity } from '../config/exact-json.js';
import { VaporaError } from '../core/errors.js';
import type { AuthorizationContext, AuthorizationRequest } from '../core/ports.js';
import { type EntityRef, type Token, tokenize, unquote } from './lexer.js';

/** Longer texts are refused unread. */
const MAX_REF_CHARACTERS = 16_384;
const MAX_CONTEXT_CHARACTERS = 1_048_576;

/** As typed; see {@link parsePolicyTest}. */
export interface PolicyTestInput {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  /** JSON object. */
  readonly context?: string | undefined;
}

const invalid = (message: string, hint?: string): VaporaError =>
  new VaporaError('input_invalid', message, hint === undefined ? {} : { hint });

const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);

/** Reads `User::"ann"`, with Cedar's escapes. Throws `input_invalid`. */
export function parseEntityRef(text: string): EntityRef {
  const { entity, parents } = parseEntity(text);
  if (parents.length > 0) throw invalid(`\`${shorten(text)}\` is more than one entity`);
  return entity;
}

/** Reads `User::"ann"`, `User::"ann" in Group::"ops"` or `… in [Group::"a", Group::"b"]`. */
function parseEntity(text: string): { readonly entity: EntityRef; readonly parents: readonly EntityRef[] } {
  const bad = () => invalid(`\`${shorten(text)}\` is not an entity`, 'write it as `User::"ann"`');
  if (text.length > MAX_REF_CHARACTERS) throw bad();
  const rest = [...tokenize(text)];
  const entity = takeRef(rest);
  if (entity === null) throw bad();
  if (rest.length === 0) return { entity, parents: [] };
  if (rest.shift()?.text !== 'in') throw bad();
  const isList = rest[0]?.text === '[';
  if (isList) rest.shift();
  const parents: EntityRef[] = [];
  do {
    const parent = takeRef(rest);
    if (parent === null) throw bad();
    parents.push(parent);
  } while (isList && rest[0]?.text === ',' && rest.shift() !== undefined);
  if (isList && rest.shift()?.text !== ']') throw bad();
  if (rest.length > 0) throw bad();
  return { entity, parents };
}

/** Takes an entity from the front of the tokens; null where there is none. */
function takeRef(tokens: Token[]): EntityRef | null {
  let type = '';
  for (;;) {
    const word = tokens.shift();
    if (word?.kind !== 'word' || tokens.shift()?.text !== '::') return null;
    type += word.text;
    if (tokens[0]?.kind === 'string') break;
    type += '::';
  }
  const id = unquote(tokens.shift()?.text ?? '');
  return id === null ? null : { type, id };
}

const strings = z.array(z.string());
const principalSchema = z.union([
  z.string().transform((user) => ({ user, groups: [] as string[] })),
  z.strictObject({ user: z.string(), groups: strings.default([]) }),
]);
/** `fallback`: of what is left out. */
const amountsSchema = (fallback: number) => {
  const amount = z.number().int().default(fallback);
  return z
    .strictObject({ tokens: amount, micro_usd: amount, seconds: amount })
    .prefault({})
    .transform(({ tokens, micro_usd, seconds }) => ({ tokens, microUsd: micro_usd, seconds }));
};
const contextSchema = z.strictObject({
  initiator: principalSchema.optional(),
  instance: z.string().default(''),
  attempt: z.number().int().default(1),
  labels: z.record(z.string(), z.string()).default({}),
  agents: strings.default([]),
  approvals: z.array(z.strictObject({ stage: z.string(), by: z.string() })).default([]),
  irreversible: z.boolean().default(false),
  spent: amountsSchema(0),
  budget: amountsSchema(-1),
  stage_spent: amountsSchema(0),
  stage_budget: amountsSchema(-1),
  shared_spent: amountsSchema(0),
  shared_budget: amountsSchema(-1),
});

/**
 * The request that the texts describe. Groups of a person: `User::"ann" in [Group::"ops"]`; the template of a stage or an instance:
 * `Stage::"deploy" in Workflow::"release"`, without which it is in `Workflow::""`. The action is bare or `Action::"…"`.
 * Fields that the context leaves out are neutral: empty, attempt 1, nobody as the initiator, except for `start-workflow`, where it
 * is the principal. Throws `input_invalid` for what can't be read and for fields that no policy could see.
 */
export function parsePolicyTest(input: PolicyTestInput): AuthorizationRequest {
  const principal = principalOf(input.principal);
  const action = input.action.includes('::') ? actionOf(input.action) : input.action;
  const starter = action === 'start-workflow' ? { user: principal.id, groups: principal.groups } : null;
  const { initiator, ...context } = contextOf(input.context ?? '{}');
  const resource = resourceOf(input.resource);
  const by = initiator ?? starter ?? { user: '', groups: [] };
  return { principal, action, resource, context: { ...context, initiator: by } };
}

function actionOf(text: string): string {
  const { type, id } = parseEntityRef(text);
  if (type !== 'Action')
    throw invalid(`\`${shorten(text)}\` is not an action`, 'write it as `execute-stage`');
  return id;
}

function principalOf(text: string): AuthorizationRequest['principal'] {
  const { entity, parents } = parseEntity(text);
  const { type, id } = entity;
  if (type !== 'User' && type !== 'Orchestrator' && type !== 'Agent') {
    throw invalid(`\`${shorten(text)}\` can't act`, 'a principal is a `User`, `Agent` or `Orchestrator`');
  }
  if (parents.some((parent) => parent.type !== 'Group')) {
    throw invalid(`\`${shorten(text)}\` is in something that is not a \`Group\``);
  }
  return { type, id, groups: parents.map((parent) => parent.id) };
}

function resourceOf(text: string): AuthorizationRequest['resource'] {
  const { entity, parents } = parseEntity(text);
  const { type, id } = entity;
  if (type === 'Workflow' || type === 'Engine') {
    if (parents.length > 0) throw invalid(`\`${shorten(text)}\`: nothing holds a \`${type}\``);
    return { type, id };
  }
  if (type !== 'Stage' && type !== 'Instance') {
    const hint = 'a resource is a `Workflow`, `Stage`, `Instance` or `Engine`';
    throw invalid(`\`${shorten(text)}\` can't be acted upon`, hint);
  }
  const [parent, ...others] = parents;
  if (others.length > 0 || (parent !== undefined && parent.type !== 'Workflow')) {
    throw invalid(`\`${shorten(text)}\` is in something other than one \`Workflow\``);
  }
  return { type, id, workflow: parent?.id ?? '' };
}

type TestContext = Omit<AuthorizationContext, 'initiator'> & {
  readonly initiator?: AuthorizationContext['initiator'] | undefined;
};

function contextOf(json: string): TestContext {
  if (json.length > MAX_CONTEXT_CHARACTERS) throw invalid('the context is too large');
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw invalid(`the context \`${shorten(json)}\` is not JSON`);
  }
  const ambiguity = findAmbiguity(json);
  if (ambiguity !== null) throw invalid(`the context ${ambiguity.message}`, ambiguity.hint);
  const parsed = contextSchema.safeParse(value);
  if (parsed.success) {
    const { stage_spent, stage_budget, shared_spent, shared_budget, ...rest } = parsed.data;
    return {
      ...rest,
      stageSpent: stage_spent,
      stageBudget: stage_budget,
      sharedSpent: shared_spent,
      sharedBudget: shared_budget,
    };
  }
  const problems = parsed.error.issues.map((issue) => ({
    message: issue.code === 'unrecognized_keys' ? unknownText(issue.keys) : issue.message,
    path: issue.path.map(String).join('.'),
    severity: 'error' as const,
  }));
  const [first] = problems;
  const where = first === undefined || first.path === '' ? '' : ` at \`${first.path}\``;
  throw new VaporaError(
    'input_invalid',
    `the context is malformed${where}: ${lowerFirst(first?.message ?? '')}`,
    {
      problems,
      hint: `its fields are ${Object.keys(contextSchema.shape).join(', ')}`,
    },
  );
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

function unknownText(keys: readonly string[]): string {
  return `unknown ${keys.length === 1 ? 'field' : 'fields'} ${keys.map((key) => `\`${key}\``).join(', ')}`;
}
