/** Environment variables that override `[engine]` keys. */
import { type DocumentNode, emptyTable, type TableNode } from './document.js';
import { engineShape, limitsShape, retentionShape } from './schema.js';
import type { Field, Fields } from './shape.js';

export interface EnvironmentOverride {
  readonly name: string;
  /** Key path in the document. */
  readonly key: readonly [string, ...string[]];
  readonly meaning: string;
  readonly field: Field<unknown>;
}

const { limits: _, retention: __, ...engineFields } = engineShape.fields;

/** The one table of them; the documentation is made from it. An empty variable counts as not set. */
export const ENVIRONMENT_OVERRIDES: readonly EnvironmentOverride[] = [
  ...overridesOf(['engine'], engineFields),
  ...overridesOf(['engine', 'limits'], limitsShape.fields),
  ...overridesOf(['engine', 'retention'], retentionShape.fields),
];

function overridesOf(table: readonly [string, ...string[]], fields: Fields): EnvironmentOverride[] {
  return Object.entries(fields).map(([key, field]) => ({
    name: `VAPORA_${key.toUpperCase()}`,
    key: [...table, key],
    meaning: field.about,
    field,
  }));
}

/** The document as it is with the variables that are set in `env`: their values stand in it and say where they come from. */
export function applyEnvironment(root: TableNode, env: NodeJS.ProcessEnv): TableNode {
  let result = root;
  for (const override of ENVIRONMENT_OVERRIDES) {
    const value = env[override.name];
    if (value !== undefined && value !== '') {
      result = withValue(result, override.key, valueNode(value, override));
    }
  }
  return result;
}

function withValue(table: TableNode, path: readonly string[], node: DocumentNode): TableNode {
  const [key, ...rest] = path;
  if (key === undefined) return table;
  const entry = table.entries.get(key);
  const entries = new Map(table.entries);
  if (rest.length === 0) entries.set(key, { origin: node.origin, value: node });
  else {
    const inner = entry?.value ?? emptyTable(node.origin);
    // No table where one is due: the reader will say so.
    if (inner.kind !== 'table') return table;
    entries.set(key, { origin: entry?.origin ?? node.origin, value: withValue(inner, rest, node) });
  }
  return { ...table, entries };
}

/** Reads the text the way the key's type wants it; what does not fit stays text, which the key then refuses. */
function valueNode(text: string, override: EnvironmentOverride): DocumentNode {
  const origin = { variable: override.name };
  const type = override.field.shape.schema.type;
  if (type === 'boolean' && (text === 'true' || text === 'false')) {
    return { kind: 'boolean', origin, value: text === 'true' };
  }
  if ((type === 'integer' || type === 'number') && /^[+-]?\d+(\.\d+)?$/.test(text)) {
    return { kind: 'number', origin, value: Number(text), text };
  }
  return { kind: 'string', origin, value: text };
}
