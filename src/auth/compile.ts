/** From a directory's texts to a policy set that is known to be good, or every problem that it has. */
import { createHash } from 'node:crypto';
import type { DetailedError, EntityJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Place, Problem } from '../core/errors.js';
import { asDigest, type Digest } from '../core/names.js';
import { CedarTrap, callCedar } from './engine.js';
import { EntityIndex } from './entities.js';
import { parseEntities } from './entities-file.js';
import { attributeNamesOf, type EntityRef, entityRefsOf } from './lexer.js';
import type { PolicyDirectory, TextFile } from './load.js';
import { offsetOfByte, placeAt } from './places.js';
import { type FlatPolicy, flatten, MAX_DEPTH, type PolicyPiece, splitPolicies } from './policy-text.js';
import { checkSchema } from './schema-check.js';

export const MAX_POLICIES = 5_000;
const MAX_POLICY_ID_CHARACTERS = 256;

/** A policy as it was written. */
export interface CompiledPolicy {
  readonly id: string;
  readonly place: Place;
  readonly effect: 'permit' | 'forbid';
  readonly annotations: Readonly<Record<string, string>>;
  /** As written. */
  readonly text: string;
  /** The same, in the form that the evaluator gets. */
  readonly flat: FlatPolicy;
  /** Effect and scope, without conditions. */
  readonly head: PolicyJson;
  readonly named: readonly EntityRef[];
  /** See {@link attributeNamesOf}. */
  readonly names: ReadonlySet<string> | null;
  readonly file: TextFile;
  readonly start: number;
}

export interface CompiledSet {
  readonly policies: readonly CompiledPolicy[];
  readonly schema: string;
  readonly entities: EntityIndex;
  readonly digest: Digest;
  readonly warnings: readonly Problem[];
}

export type Compilation =
  | { readonly set: CompiledSet; readonly problems: null }
  | { readonly set: null; readonly problems: readonly Problem[] };

export function compile(directory: PolicyDirectory): Compilation {
  const problems: Problem[] = [...directory.problems];
  const checked = checkSchema(directory.schemas);
  problems.push(...checked.problems);
  const policies = compilePolicies(directory, problems);
  if (policies.length === 0 && problems.length === 0) problems.push(noPolicy(directory.path));
  let entities: readonly EntityJson[] = [];
  // Nothing can be said of entities and policies while the schema is wrong.
  if (directory.entities !== null && checked.problems.length === 0) {
    const parsed = parseEntities(directory.entities, checked.schema);
    problems.push(...parsed.problems);
    entities = parsed.entities;
  }
  if (problems.length > 0) return { set: null, problems };
  const { errors, warnings } = validate(policies, checked.schema);
  if (errors.length > 0) return { set: null, problems: errors };
  const named = policies.flatMap((policy) => policy.named);
  const digest = digestOf(policies, checked.schema, entities);
  const index = new EntityIndex(entities, named);
  return { set: { policies, schema: checked.schema, entities: index, digest, warnings }, problems: null };
}

function noPolicy(path: string): Problem {
  return {
    message: `there is no policy in \`${path}\``,
    place: { file: path, line: 1, column: 1 },
    hint: 'without a policy everything is denied: add a `*.cedar` file, or leave out `cedar_policy_dir` to allow everything',
    severity: 'error',
  };
}

function compilePolicies(directory: PolicyDirectory, problems: Problem[]): readonly CompiledPolicy[] {
  const policies: CompiledPolicy[] = [];
  const byId = new Map<string, CompiledPolicy>();
  let count = 0;
  for (const file of directory.policies) {
    for (const [index, piece] of splitPolicies(file.text).entries()) {
      count++;
      if (count > MAX_POLICIES) {
        problems.push(problemAt(file, piece.start, `more than ${MAX_POLICIES} policies`));
        return policies;
      }
      const policy = compilePolicy(file, piece, `${file.name}#${index + 1}`, problems);
      if (policy === null) continue;
      const twin = byId.get(policy.id);
      if (twin === undefined) {
        byId.set(policy.id, policy);
        policies.push(policy);
      } else {
        const { file: where, line, column } = twin.place;
        const message = `policy id \`${policy.id}\` is already taken at ${where}:${line}:${column}`;
        problems.push({ ...problemAt(file, piece.start, message), hint: 'give each policy its own `@id`' });
      }
    }
  }
  return policies;
}

function compilePolicy(
  file: TextFile,
  piece: PolicyPiece,
  fallbackId: string,
  problems: Problem[],
): CompiledPolicy | null {
  const flat = flatten(piece);
  const problem = (message: string) => {
    problems.push(problemAt(file, piece.start, message));
    return null;
  };
  if (flat.depth > MAX_DEPTH) {
    return problem(`the policy nests ${flat.depth} levels deep, at most ${MAX_DEPTH} are allowed`);
  }
  const refused = parseProblems(file, piece, flat);
  if (refused.length > 0) {
    problems.push(...refused);
    return null;
  }
  const head = headOf(piece);
  if (head === null) return problem('the policy has no scope');
  const annotations = Object.fromEntries(
    Object.entries(head.annotations ?? {}).map(([key, value]) => [key, value ?? '']),
  );
  const id = Object.hasOwn(annotations, 'id') ? annotations.id : fallbackId;
  if (id === undefined || id === '' || id.length > MAX_POLICY_ID_CHARACTERS) {
    return problem(`\`@id\` must have 1 to ${MAX_POLICY_ID_CHARACTERS} characters`);
  }
  return {
    id,
    place: placeAt(file.path, file.text, piece.start),
    effect: head.effect,
    annotations,
    text: piece.text,
    flat,
    head,
    named: entityRefsOf(piece.tokens),
    names: attributeNamesOf(piece.tokens),
    file,
    start: piece.start,
  };
}

function parseProblems(file: TextFile, piece: PolicyPiece, flat: FlatPolicy): readonly Problem[] {
  try {
    const answer = callCedar((cedar) => cedar.checkParsePolicySet({ staticPolicies: { policy: flat.text } }));
    if (answer.type === 'success') return [];
    return answer.errors.map((error) => cedarProblem(file, piece.start, flat, error, 'error'));
  } catch (error) {
    if (!(error instanceof CedarTrap)) throw error;
    return [problemAt(file, piece.start, `the policy is too much for Cedar: ${error.message}`)];
  }
}

function headOf(piece: PolicyPiece): PolicyJson | null {
  const { head } = piece;
  if (head === null) return null;
  const answer = callCedar((cedar) => cedar.policyToJson(head));
  return answer.type === 'success' ? answer.json : null;
}

/** What the evaluator gets: own properties only, so that an id such as `__proto__` is one like any other. */
export function textsById(policies: readonly CompiledPolicy[]): Readonly<Record<string, string>> {
  return Object.fromEntries(policies.map((policy) => [policy.id, policy.flat.text]));
}

function validate(
  policies: readonly CompiledPolicy[],
  schema: string,
): { readonly errors: readonly Problem[]; readonly warnings: readonly Problem[] } {
  const byId = new Map(policies.map((policy) => [policy.id, policy]));
  const answer = callCedar((cedar) =>
    cedar.validate({
      validationSettings: { mode: 'strict' },
      schema,
      policies: { staticPolicies: textsById(policies) },
    }),
  );
  if (answer.type === 'failure') {
    const errors = answer.errors.map(({ message }): Problem => ({ message, severity: 'error' }));
    return { errors, warnings: [] };
  }
  const toProblems = (findings: typeof answer.validationErrors, severity: Problem['severity']) => {
    const found = new Map<string, Problem>();
    for (const { policyId, error } of findings) {
      const policy = byId.get(policyId);
      if (policy === undefined) continue;
      // Cedar repeats a finding for every action that the policy applies to.
      const key = JSON.stringify([policyId, error.sourceLocations?.[0]?.start, severity]);
      if (!found.has(key)) {
        found.set(key, cedarProblem(policy.file, policy.start, policy.flat, error, severity));
      }
    }
    return [...found.values()].sort(byPlace);
  };
  return {
    errors: toProblems(answer.validationErrors, 'error'),
    warnings: toProblems(answer.validationWarnings, 'warning'),
  };
}

function byPlace(a: Problem, b: Problem): number {
  const left = a.place ?? { file: '', line: 0, column: 0 };
  const right = b.place ?? { file: '', line: 0, column: 0 };
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  return left.line - right.line || left.column - right.column;
}

const PREFIX = /^(?:failed to parse policy with id `policy` from string: |for policy `(?:[^`])*`, )/;

function cedarProblem(
  file: TextFile,
  start: number,
  flat: FlatPolicy,
  error: DetailedError,
  severity: Problem['severity'],
): Problem {
  const location = error.sourceLocations?.[0];
  const offset = flat.originalOffset(offsetOfByte(flat.text, location?.start ?? 0));
  const hint = error.help?.replace(PREFIX, '') ?? location?.label ?? null;
  return {
    ...problemAt(file, start + offset, error.message.replace(PREFIX, '')),
    severity,
    ...(hint === null ? {} : { hint }),
  };
}

function problemAt(file: TextFile, offset: number, message: string): Problem {
  return { message, place: placeAt(file.path, file.text, offset), severity: 'error' };
}

/** Over all that a decision depends on besides the request. */
function digestOf(
  policies: readonly CompiledPolicy[],
  schema: string,
  entities: readonly EntityJson[],
): Digest {
  const texts = policies.map(({ id, text }) => [id, text]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  const people = entities.map((entity) => JSON.stringify(canonical(entity))).sort();
  const whole = JSON.stringify(['vapora-policy-set', 1, texts, schema, people]);
  return asDigest(createHash('sha256').update(whole).digest('hex'));
}

function canonical(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(canonical);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, inner]) => [key, canonical(inner)]);
}
