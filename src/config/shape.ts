/**
 * The building blocks of the format's one definition: each shape reads a node of a document, reports what is wrong with it, and says
 * the same as JSON Schema. Written for this format rather than taken from a validation package, because problems need exact places,
 * all of them at once, and keys such as `__proto__` must be nothing special.
 */
import { isName, MAX_NAME_CHARACTERS, NAME_RULE } from '../core/names.js';
import type { DocumentNode, TableNode } from './document.js';
import type { Report } from './report.js';
import { formatPath, type KeyPath, quoted } from './text.js';

export type JsonSchema = { readonly type?: string; readonly [key: string]: unknown };

export interface Shape<T> {
  /** What a valid value is, for messages. */
  readonly expected: string;
  readonly schema: JsonSchema;
  /** Undefined: the value is wrong, and `report` has been told. */
  read(node: DocumentNode, path: KeyPath, report: Report): T | undefined;
}

export interface Field<T> {
  readonly shape: Shape<T>;
  readonly about: string;
  readonly isRequired: boolean;
  readonly fallback: unknown;
}
export interface RequiredField<T> extends Field<T> {
  readonly isRequired: true;
}

export function required<T>(shape: Shape<T>, about: string): RequiredField<T> {
  return { shape, about, isRequired: true, fallback: undefined };
}

/** `fallback` is what holds without the key, as it would be written; it is documentation, the reader of the row applies it. */
export function optional<T>(
  shape: Shape<T>,
  about: string,
  fallback?: unknown,
): Field<T> & { isRequired: false } {
  return { shape, about, isRequired: false, fallback };
}

export type Fields = Readonly<Record<string, Field<unknown>>>;
type ValueOf<F> = F extends Field<infer T> ? T : never;
/** A table as read: required keys are there, others may be undefined. */
export type Row<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends RequiredField<unknown> ? ValueOf<F[K]> : ValueOf<F[K]> | undefined;
};
export type RowOf<S> = S extends Shape<infer T> ? T : never;

/** What a program writes for a shape: keys that are not required may be left out. */
export type Written<T> = T extends string | number | boolean
  ? T
  : T extends ReadonlyMap<string, infer V>
    ? Readonly<Record<string, V>>
    : T extends readonly (infer E)[]
      ? readonly Written<Exclude<E, undefined>>[]
      : { readonly [K in keyof T as undefined extends T[K] ? never : K]: Written<T[K]> } & {
          readonly [K in keyof T as undefined extends T[K] ? K : never]?:
            | Written<Exclude<T[K], undefined>>
            | undefined;
        };

export interface TableShape<F extends Fields> extends Shape<Row<F>> {
  readonly fields: F;
}

/** How a value is shown in a message: scalars as written, the rest by kind. */
function describe(node: DocumentNode): string {
  switch (node.kind) {
    case 'string':
      return node.value === '' ? 'empty' : quoted(node.value);
    case 'number':
      return quoted(node.text);
    case 'boolean':
      return `\`${node.value}\``;
    case 'other':
      return node.text;
    default:
      return `a ${node.kind}`;
  }
}

/** What the user wrote to: a key path, or an environment variable. */
export function subjectOf(node: DocumentNode, path: KeyPath): string {
  if (node.origin !== null && 'variable' in node.origin) {
    return `environment variable \`${node.origin.variable}\``;
  }
  return path.length === 0 ? 'the document' : `\`${formatPath(path)}\``;
}

export function refuse(
  node: DocumentNode,
  path: KeyPath,
  report: Report,
  expected: string,
  hint?: string,
): undefined {
  const message = `${subjectOf(node, path)} is ${describe(node)}`;
  report.error({ message, path, origin: node.origin, expected, hint });
  return undefined;
}

/** A shape that one test of the node decides. */
function scalar<T>(
  expected: string,
  schema: JsonSchema,
  accept: (node: DocumentNode) => T | undefined,
  hint?: (node: DocumentNode, report: Report) => string | undefined,
): Shape<T> {
  return {
    expected,
    schema,
    read: (node, path, report) => accept(node) ?? refuse(node, path, report, expected, hint?.(node, report)),
  };
}

export const flag: Shape<boolean> = scalar('`true` or `false`', { type: 'boolean' }, (node) =>
  node.kind === 'boolean' ? node.value : undefined,
);

export const name: Shape<string> = scalar(
  `a name: ${NAME_RULE}`,
  {
    type: 'string',
    minLength: 1,
    maxLength: MAX_NAME_CHARACTERS,
    pattern: '^[\\p{L}\\p{Nd}._-]+$',
    not: { enum: ['.', '..'] },
  },
  (node) => (node.kind === 'string' && isName(node.value) ? node.value : undefined),
);

/** Text without NUL, which neither paths nor programs' arguments may hold. */
export function text(expected: string, minLength: 0 | 1 = 1): Shape<string> {
  return scalar(expected, { type: 'string', minLength, pattern: '^[^\\u0000]*$' }, (node) =>
    node.kind === 'string' && node.value.length >= minLength && !node.value.includes('\0')
      ? node.value
      : undefined,
  );
}

export function integer(min: number, max: number, what = 'a whole number'): Shape<number> {
  return scalar(`${what} from ${min} to ${max}`, { type: 'integer', minimum: min, maximum: max }, (node) =>
    node.kind === 'number' &&
    Number.isSafeInteger(node.value) &&
    /^[+-]?\w+$/.test(node.text) &&
    node.value >= min &&
    node.value <= max
      ? node.value
      : undefined,
  );
}

export function number(min: number, max: number, what = 'a number'): Shape<number> {
  return scalar(`${what} from ${min} to ${max}`, { type: 'number', minimum: min, maximum: max }, (node) =>
    node.kind === 'number' && node.value >= min && node.value <= max ? node.value : undefined,
  );
}

export function choice<const T extends string>(values: readonly T[], why?: string): Shape<T> {
  return scalar(
    values.map((value) => `\`${value}\``).join(' or '),
    { type: 'string', enum: values },
    (node) => values.find((value) => node.kind === 'string' && node.value === value),
    (node, report) => (node.kind === 'string' ? report.meant(node.value, values) : undefined) ?? why,
  );
}

/** A table of whatever JSON can say. */
export const json: Shape<Readonly<Record<string, unknown>>> = {
  expected: 'a table',
  schema: { type: 'object' },
  read(node, path, report) {
    if (node.kind !== 'table') return refuse(node, path, report, 'a table');
    const before = report.errorCount;
    const value = jsonOf(node, path, report) as Readonly<Record<string, unknown>>;
    return report.errorCount === before ? value : undefined;
  },
};

function jsonOf(node: DocumentNode, path: KeyPath, report: Report): unknown {
  if (node.kind === 'table') {
    // defines own properties, so that a key called `__proto__` is a key like any other
    const entries = [...node.entries].map(
      ([key, entry]) => [key, jsonOf(entry.value, [...path, key], report)] as const,
    );
    return Object.fromEntries(entries);
  }
  if (node.kind === 'list') return node.items.map((item, index) => jsonOf(item, [...path, index], report));
  if (node.kind === 'other' || (node.kind === 'number' && !Number.isFinite(node.value))) {
    return refuse(
      node,
      path,
      report,
      'a value that JSON has: text, a number, `true`, `false`, a list or a table',
    );
  }
  return node.value;
}

/** A list; items that are wrong are undefined in it, so that the indices of the others still hold. */
export function list<T>(
  item: Shape<T>,
  limits: { min: 0 | 1; max: number },
  what: string,
): Shape<readonly (T | undefined)[]> {
  const expected = `a list of ${limits.min === 0 ? '' : 'one or more '}${what}`;
  return {
    expected,
    schema: { type: 'array', items: item.schema, minItems: limits.min, maxItems: limits.max },
    read(node, path, report) {
      if (node.kind !== 'list') return refuse(node, path, report, expected);
      const { length } = node.items;
      if (length < limits.min || length > limits.max) {
        const message = `${subjectOf(node, path)} has ${length} items`;
        const many = length > limits.max ? `at most ${limits.max}` : expected;
        report.error({ message, path, origin: node.origin, expected: many });
        return undefined;
      }
      return node.items.map((inner, index) => item.read(inner, [...path, index], report));
    },
  };
}

/** A table with free keys, e.g. environment variables. */
export function map<T>(
  value: Shape<T>,
  what: string,
  key: { isValid: (text: string) => boolean; expected: string; pattern: string },
): Shape<ReadonlyMap<string, T>> {
  const expected = `a table of ${what}`;
  return {
    expected,
    schema: {
      type: 'object',
      additionalProperties: value.schema,
      propertyNames: { pattern: key.pattern },
    },
    read(node, path, report) {
      if (node.kind !== 'table') return refuse(node, path, report, expected);
      const values = new Map<string, T>();
      for (const [name, entry] of node.entries) {
        const at = [...path, name];
        if (!key.isValid(name)) {
          const message = `\`${formatPath(at)}\` has an invalid key`;
          report.error({ message, path: at, origin: entry.origin, expected: key.expected });
          continue;
        }
        const read = value.read(entry.value, at, report);
        if (read !== undefined) values.set(name, read);
      }
      return values;
    },
  };
}

/** A table with these keys and no others. Where a key that is not required is wrong, the row is read without it. */
export function table<F extends Fields>(what: string, fields: F): TableShape<F> {
  const expected = `a table: ${what}`;
  const properties = Object.entries(fields).map(([key, field]) => [
    key,
    {
      description: field.about,
      ...field.shape.schema,
      ...(field.fallback === undefined ? {} : { default: field.fallback }),
    },
  ]);
  const requiredKeys = Object.keys(fields).filter((key) => fields[key]?.isRequired);
  return {
    fields,
    expected,
    schema: {
      type: 'object',
      properties: Object.fromEntries(properties),
      ...(requiredKeys.length === 0 ? {} : { required: requiredKeys }),
      additionalProperties: false,
    },
    read(node, path, report) {
      if (node.kind !== 'table') return refuse(node, path, report, expected);
      reportUnknownKeys(node, Object.keys(fields), path, what, report);
      const row: Record<string, unknown> = {};
      let isWhole = true;
      for (const [key, field] of Object.entries(fields)) {
        row[key] = readField(node, key, field, path, report);
        if (field.isRequired && row[key] === undefined) isWhole = false;
      }
      // Every key of `fields` was just read by its own shape, which the compiler can't follow through a loop.
      return isWhole ? (row as Row<F>) : undefined;
    },
  };
}

function readField(node: TableNode, key: string, field: Field<unknown>, path: KeyPath, report: Report) {
  const entry = node.entries.get(key);
  if (entry !== undefined) return field.shape.read(entry.value, [...path, key], report);
  if (field.isRequired) {
    const where = path.length === 0 ? 'the document' : `\`${formatPath(path)}\``;
    report.error({
      message: `${where} has no \`${key}\``,
      path: [...path, key],
      origin: node.origin,
      expected: field.shape.expected,
    });
  }
  return undefined;
}

function reportUnknownKeys(
  node: TableNode,
  known: readonly string[],
  path: KeyPath,
  what: string,
  report: Report,
) {
  for (const [key, entry] of node.entries) {
    if (known.includes(key)) continue;
    report.error({
      message: `unknown key ${quoted(key)} in ${what}`,
      path: [...path, key],
      origin: entry.origin,
      expected: `one of ${known.map((word) => `\`${word}\``).join(', ')}`,
      hint: report.meant(key, known),
    });
  }
}
