/** The tables of docs/configuration.md, made from the format's one definition. */
import type { EnvironmentOverride } from '../../src/config/env.js';
import type { JsonSchema } from '../../src/config/shape.js';

interface Row {
  readonly key: string;
  readonly schema: JsonSchema;
  readonly isRequired: boolean;
}

function rowsOf(table: JsonSchema): Row[] {
  const required = Array.isArray(table.required) ? table.required : [];
  return Object.entries(table.properties as Record<string, JsonSchema>).map(([key, schema]) => ({
    key,
    schema,
    isRequired: required.includes(key),
  }));
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const shown = (value: unknown): string => `\`${JSON.stringify(value)}\``;

function typeOf(schema: JsonSchema): string {
  const { type, items, minimum, maximum } = schema;
  const values = schema.enum;
  if (Array.isArray(values)) return values.map(shown).join(' or ');
  if (type === 'array') {
    if (isTable(items)) return 'tables';
    const item = typeOf(items as JsonSchema);
    return item.includes('`') ? `list of ${item}` : `list of ${item}s`;
  }
  if (type === 'object') return 'table';
  if (type === 'string') return 'maxLength' in schema ? 'name' : 'string';
  if (type !== 'integer' && type !== 'number') return text(type);
  return `${type}, ${String(minimum)} to ${String(maximum)}`;
}

function isTable(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'properties' in schema;
}

function defaultOf({ schema, isRequired }: Row): string {
  if (isRequired) return 'required';
  return 'default' in schema ? shown(schema.default) : '';
}

function keyTable(table: JsonSchema): string {
  const rows = rowsOf(table).map((row) => {
    const cells = [`\`${row.key}\``, typeOf(row.schema), defaultOf(row), text(row.schema.description)];
    return `| ${cells.join(' | ')} |`;
  });
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** Every table of the format, by the name of its region in the page. */
export function keyTables(document: JsonSchema): ReadonlyMap<string, string> {
  const inside = (table: JsonSchema, key: string): JsonSchema => {
    const found = (table.properties as Record<string, JsonSchema>)[key] ?? {};
    return found.type === 'array' ? (found.items as JsonSchema) : found;
  };
  const stage = inside(inside(document, 'workflows'), 'stages');
  const tables: [string, JsonSchema][] = [
    ['engine', inside(document, 'engine')],
    ['engine.limits', inside(inside(document, 'engine'), 'limits')],
    ['engine.retention', inside(inside(document, 'engine'), 'retention')],
    ['engine.outbound', inside(inside(document, 'engine'), 'outbound')],
    ['server', inside(document, 'server')],
    ['server.auth', inside(inside(document, 'server'), 'auth')],
    ['workflows', inside(document, 'workflows')],
    ['workflows.schedule', inside(inside(document, 'workflows'), 'schedule')],
    ['workflows.webhook', inside(inside(document, 'workflows'), 'webhook')],
    ['workflows.after', inside(inside(document, 'workflows'), 'after')],
    ['workflows.stages', stage],
    ['retry', inside(stage, 'retry')],
    ['budget', inside(stage, 'budget')],
    ['shared_budget', inside(inside(document, 'workflows'), 'shared_budget')],
    ['compensation_retry', inside(stage, 'compensation_retry')],
    ['agents', inside(document, 'agents')],
  ];
  return new Map(tables.map(([name, table]) => [name, keyTable(table)]));
}

export function environmentTable(overrides: readonly EnvironmentOverride[]): string {
  const rows = overrides.map(({ name, key }) => `| \`${name}\` | \`${key.join('.')}\` |`);
  return ['| variable | key |', '|---|---|', ...rows].join('\n');
}

/** The page with each region between `<!-- table NAME -->` and `<!-- end -->` filled anew. */
export function withTables(page: string, tables: ReadonlyMap<string, string>): string {
  return page.replace(/(<!-- table (\S+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, start, name, end) => {
    const table = tables.get(name);
    if (table === undefined) throw new Error(`there is no table ${name}`);
    return `${start}\n${table}\n\n${end}`;
  });
}

export function tableNames(page: string): string[] {
  return [...page.matchAll(/<!-- table (\S+) -->/g)].map(([, name = '']) => name);
}
