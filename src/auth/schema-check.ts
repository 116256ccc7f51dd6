/** Joins the shipped schema with the directory's own and has Cedar check the whole. */
import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import type { Problem } from '../core/errors.js';
import { CedarTrap, callCedar } from './engine.js';
import { tokenize } from './lexer.js';
import type { TextFile } from './load.js';
import { offsetOfByte, placeAt } from './places.js';
import { VAPORA_SCHEMA, VAPORA_SCHEMA_FILE } from './schema.js';

/** Brackets within brackets; the evaluator traps on a few hundred. */
const MAX_SCHEMA_DEPTH = 32;

const SHIPPED: TextFile = { path: VAPORA_SCHEMA_FILE, name: VAPORA_SCHEMA_FILE, text: VAPORA_SCHEMA };
const BETWEEN = '\n';

export interface CheckedSchema {
  readonly schema: string;
  readonly problems: readonly Problem[];
}

export function checkSchema(own: readonly TextFile[]): CheckedSchema {
  const tooDeep = own.filter((file) => bracketDepth(file.text) > MAX_SCHEMA_DEPTH);
  const parts = [SHIPPED, ...own];
  const schema = parts.map((part) => part.text).join(BETWEEN);
  const deep = tooDeep.map((file) =>
    problemAt(file, 0, `the schema nests deeper than ${MAX_SCHEMA_DEPTH} levels`),
  );
  if (deep.length > 0) return { schema, problems: deep };
  return { schema, problems: check(parts, schema) };
}

function bracketDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const { text: mark } of tokenize(text)) {
    if ('([{<'.includes(mark)) deepest = Math.max(deepest, ++depth);
    else if (')]}>'.includes(mark)) depth = Math.max(0, depth - 1);
  }
  return deepest;
}

function check(parts: readonly TextFile[], schema: string): readonly Problem[] {
  try {
    const answer = callCedar((cedar) => cedar.checkParseSchema(schema));
    if (answer.type === 'success') return [];
    return answer.errors.map((error) => schemaProblem(parts, schema, error));
  } catch (error) {
    if (!(error instanceof CedarTrap)) throw error;
    return [{ message: `the schema is too much for Cedar: ${error.message}`, severity: 'error' }];
  }
}

function schemaProblem(parts: readonly TextFile[], schema: string, error: DetailedError): Problem {
  const message = error.message.replace(
    /^failed to parse schema from string: (?:error parsing schema: )?/,
    '',
  );
  // Of a conflict, the last of the places is the one that the shipped schema does not hold.
  const location = error.sourceLocations?.at(-1);
  const hint = error.help ?? location?.label ?? null;
  let offset = offsetOfByte(schema, location?.start ?? schema.length);
  let file = parts[0] ?? SHIPPED;
  for (const part of parts) {
    file = part;
    if (offset <= part.text.length) break;
    offset -= part.text.length + BETWEEN.length;
  }
  return { ...problemAt(file, offset, message), ...(hint === null ? {} : { hint }) };
}

function problemAt(file: TextFile, offset: number, message: string): Problem {
  return { message, place: placeAt(file.path, file.text, offset), severity: 'error' };
}
