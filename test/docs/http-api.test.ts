/** The routes of the server, its OpenAPI document and docs/http-api.md are the same. */
import { expect, it } from 'vitest';
import { openHttpRig } from '../../src/http/rig.suite.js';
import { readText } from '../tidy/source.js';

const { text } = readText('docs/http-api.md');

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly responses: Readonly<Record<string, unknown>>;
}

/** `tag | METHOD /path | summary`, as documented. */
function documented(): string[] {
  const region = text.split('<!-- endpoints -->')[1]?.split('<!-- end -->')[0] ?? '';
  return region
    .split(/^### /m)
    .slice(1)
    .flatMap((section) => {
      const [tag = ''] = section.split('\n');
      return [...section.matchAll(/^\| `([A-Z]+ [^`]+)` \| (.+) \|$/gm)].map(
        ([, endpoint = '', summary = '']) => `${tag} | ${endpoint} | ${summary}`,
      );
    });
}

it('docs/http-api.md lists every endpoint of the OpenAPI document, and no other', async () => {
  const rig = await openHttpRig();
  const { json } = await rig.ask('GET', '/api/v1/openapi.json');
  expect(json.openapi).toBe('3.1.0');
  const paths = json.paths as Record<string, Record<string, Operation>>;
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, { tags, summary }]) => `${tags.join()} | ${method.toUpperCase()} ${path} | ${summary}`,
    ),
  );
  expect(described.length).toBeGreaterThan(20);
  expect(documented().toSorted()).toEqual(described.toSorted());
  const operations = Object.values(paths).flatMap((path) => Object.values(path));
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { responses } of operations) expect(Object.keys(responses)).toContain('default');
});

it('the OpenAPI document describes every route that the server has', async () => {
  const rig = await openHttpRig();
  const { json } = await rig.ask('GET', '/api/v1/openapi.json');
  const paths = json.paths as Record<string, object>;
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(rig.routes().toSorted()).toEqual(described.toSorted());
});

/** Lists are arrays in what is answered, and in its parts. */
function hasList(schema: unknown, schemas: Readonly<Record<string, unknown>>): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  const { $ref, type, properties = {} } = schema as { $ref?: string; type?: string; properties?: object };
  if ($ref !== undefined) return hasList(schemas[$ref.split('/').at(-1) ?? ''], schemas);
  return type === 'array' || Object.values(properties).some((inner) => hasList(inner, schemas));
}

it('docs/http-api.md says of every list what limits it, and which have pages', async () => {
  const rig = await openHttpRig();
  const { json } = await rig.ask('GET', '/api/v1/openapi.json');
  const paths = json.paths as Record<string, Record<string, Operation & { parameters?: { name: string }[] }>>;
  const { schemas } = json.components as { schemas: Record<string, unknown> };
  const listed: string[] = [];
  for (const [path, { get }] of Object.entries(paths)) {
    const answer = get?.responses['200'] as { content?: Record<string, { schema: unknown }> } | undefined;
    if (get === undefined || !hasList(answer?.content?.['application/json']?.schema, schemas)) continue;
    const isPaged = get.parameters?.some(({ name }) => name === 'limit') === true;
    listed.push(`GET ${path}${isPaged ? ' | 1 to 1,000' : ''}`);
  }
  const [, section = ''] = text.split('### Lists and their limits');
  const rows = [...(section.split('\n### ')[0] ?? '').matchAll(/^\| `(GET [^`]+)`( \| 1 to 1,000)?/gm)];
  expect(rows.map(([, endpoint, pages = '']) => `${endpoint}${pages}`).toSorted()).toEqual(listed.toSorted());
});
