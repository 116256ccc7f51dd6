/** `entities.json`: people and their groups, in Cedar's entity format. */
import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import { z } from 'zod';
import { findAmbiguity } from '../config/exact-json.js';
import type { Problem } from '../core/errors.js';
import { callCedar } from './engine.js';
import { plainUid } from './entities.js';
import type { TextFile } from './load.js';
import { placeAt } from './places.js';
import { MAX_ID_CHARACTERS } from './request.js';

export const MAX_ENTITIES = 20_000;
/** Levels of nesting in attributes; the evaluator traps far above it. */
const MAX_ATTRIBUTE_DEPTH = 16;
/** Entities looked at one by one for what is wrong with them. */
const MAX_SUSPECTS = 1_000;

/** Types whose entities the engine makes itself for each request. */
const OWN_TYPES = new Set(['Orchestrator', 'Engine', 'Workflow', 'Stage', 'Instance', 'Action']);
const LONE_SURROGATE = /\p{Surrogate}/u;

const id = z
  .string()
  .max(MAX_ID_CHARACTERS)
  .refine((text) => !LONE_SURROGATE.test(text), 'not valid Unicode');
const plain = z.strictObject({ type: id, id });
const uid = z.union([plain, z.strictObject({ __entity: plain })]);
const attributes = z
  .record(id, z.unknown())
  .refine((value) => isBounded(value), `not valid Unicode, or deeper than ${MAX_ATTRIBUTE_DEPTH} levels`);
const entitySchema = z.strictObject({
  uid,
  attrs: attributes.default({}),
  parents: z.array(uid).default([]),
  tags: attributes.optional(),
});

/** Answers the entities, or what is wrong with them. */
export function parseEntities(
  file: TextFile,
  schema: string,
): { readonly entities: readonly EntityJson[]; readonly problems: readonly Problem[] } {
  const bad = (offset: number, message: string, path?: string) => ({
    entities: [],
    problems: [problemAt(file, offset, message, path)],
  });
  let document: unknown;
  try {
    document = JSON.parse(file.text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const position = /position (\d+)/.exec(message)?.[1];
    return bad(position === undefined ? file.text.length : Number(position), 'the file is not JSON');
  }
  const ambiguity = findAmbiguity(file.text);
  if (ambiguity !== null) return bad(ambiguity.offset, `the file ${ambiguity.message}`);
  if (!Array.isArray(document)) return bad(0, 'the file is not a JSON array of entities');
  if (document.length > MAX_ENTITIES) return bad(0, `the file has more than ${MAX_ENTITIES} entities`);
  const problems: Problem[] = [];
  const entities: EntityJson[] = [];
  const report = (index: number, message: string, path = '') =>
    problems.push(problemAt(file, offsetOfElement(file.text, index), message, `[${index}]${path}`));
  for (const [index, item] of document.entries()) {
    const parsed = entitySchema.safeParse(item);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const path = issue?.path.map((key) => `.${String(key)}`).join('') ?? '';
      report(index, `the entity is malformed: ${lowerFirst(issue?.message ?? 'unexpected value')}`, path);
      continue;
    }
    // What zod has let through is JSON, and Cedar checks the rest.
    const entity = parsed.data as EntityJson;
    const { type, id: name } = plainUid(entity.uid);
    if (OWN_TYPES.has(type)) report(index, `\`${type}::"${name}"\` comes from the engine and can't be given`);
    entities.push(entity);
  }
  if (problems.length === 0) problems.push(...conformanceProblems(file, entities, schema));
  return { entities, problems };
}

/** Cedar says what is wrong but not where, and only the first: so each entity is asked about alone where the whole is refused. */
function conformanceProblems(file: TextFile, entities: readonly EntityJson[], schema: string): Problem[] {
  const check = (some: readonly EntityJson[]): string | null => {
    const answer = callCedar((cedar) => cedar.checkParseEntities({ entities: [...some], schema }));
    if (answer.type === 'success') return null;
    return (answer.errors[0]?.message ?? 'refused by Cedar').replace(/^.*entity deserialization: /, '');
  };
  const whole = check(entities);
  if (whole === null) return [];
  const problems: Problem[] = [];
  for (const [index, entity] of entities.slice(0, MAX_SUSPECTS).entries()) {
    const message = check([entity]);
    if (message === null) continue;
    problems.push(problemAt(file, offsetOfElement(file.text, index), message, `[${index}]`));
  }
  return problems.length > 0 ? problems : [problemAt(file, 0, whole)];
}

function problemAt(file: TextFile, offset: number, message: string, path?: string): Problem {
  const place = placeAt(file.path, file.text, offset);
  return { message, place, severity: 'error', ...(path === undefined ? {} : { path }) };
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** Offset of the array's element in a text that is known to be JSON. */
function offsetOfElement(text: string, index: number): number {
  const marks = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},]|[^\s[\]{},"]+/gs;
  let depth = 0;
  let element = 0;
  for (const { 0: mark, index: offset } of text.matchAll(marks)) {
    if (depth === 1 && mark === ',') element++;
    else if (depth === 1 && element === index) return offset;
    if (mark === '[' || mark === '{') depth++;
    else if (mark === ']' || mark === '}') depth--;
  }
  return 0;
}

/** Whether the evaluator can take the JSON value: not too deep, no lone surrogates. */
function isBounded(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return !LONE_SURROGATE.test(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_ATTRIBUTE_DEPTH) return false;
  return Object.entries(value).every(
    ([key, inner]) => !LONE_SURROGATE.test(key) && isBounded(inner, depth + 1),
  );
}
