/** docs/authorization.md: its policies load, and decide what the page says. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CedarAuthorizer } from '../../src/auth/cedar.js';
import { parsePolicyTest } from '../../src/auth/policy-test.js';
import { VAPORA_SCHEMA } from '../../src/auth/schema.js';
import { readText } from '../tidy/source.js';

const { text } = readText('docs/authorization.md');

function blocksOf(language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, block = '']) => block,
  );
}

function rowsOf(region: string): string[][] {
  const table = text.split(`<!-- ${region} -->`)[1]?.split('<!-- end -->')[0] ?? '';
  return [...table.matchAll(/^\| (`.+) \|$/gm)].map(([, row = '']) => row.split(' | '));
}

let directory: string;
let authorizer: CedarAuthorizer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vapora-docs-'));
  for (const [index, block] of blocksOf('cedar').entries()) {
    await writeFile(join(directory, `example-${index}.cedar`), block);
  }
  for (const block of blocksOf('json')) await writeFile(join(directory, 'entities.json'), block);
  authorizer = await CedarAuthorizer.loadFromDir(directory);
});

afterAll(async () => {
  authorizer.close();
  await rm(directory, { recursive: true, force: true });
});

function reasonFor(principal: string, action: string, resource: string, context: object = {}): string {
  const input = { principal, action, resource, context: JSON.stringify(context) };
  return authorizer.authorize(parsePolicyTest(input)).reason;
}

const ENGINE = 'Orchestrator::"vapora-orchestrator"';
const DEPLOY = 'Stage::"deploy" in Workflow::"release"';

describe('the examples of docs/authorization.md', () => {
  it('are all loaded, without a warning', () => {
    expect(blocksOf('cedar').length).toBeGreaterThanOrEqual(5);
    expect(blocksOf('json')).toHaveLength(1);
    expect(authorizer.describe()).toHaveLength(8);
    expect(authorizer.warnings).toEqual([]);
  });

  it.each([
    [ENGINE, 'execute-stage', DEPLOY, {}, 'permitted by `engine-runs-stages`'],
    ['User::"ann"', 'start-workflow', 'Workflow::"release"', {}, 'permitted by `anybody-starts`'],
    ['User::"ann"', 'cancel-workflow', 'Instance::"i"', { initiator: 'ann' }, 'permitted by `own-instances`'],
    ['User::"ann"', 'cancel-workflow', 'Instance::"i"', { initiator: 'ben' }, 'no permit matched'],
    ['User::"olga"', 'cancel-workflow', 'Instance::"i"', { initiator: 'ben' }, 'permitted by `operators`'],
    ['User::"olga"', 'approve-stage', DEPLOY, { initiator: 'ann' }, 'permitted by `operators`'],
    ['User::"olga"', 'approve-stage', DEPLOY, { initiator: 'olga' }, 'forbidden by `not-the-initiator`'],
    [
      'User::"olga"',
      'approve-stage',
      DEPLOY,
      { initiator: 'ann', approvals: [{ stage: 'test', by: 'olga' }] },
      'forbidden by `two-people`',
    ],
    [
      ENGINE,
      'execute-stage',
      DEPLOY,
      { initiator: 'ann', labels: { env: 'production' } },
      'forbidden by `only-release-managers-deploy-to-production`',
    ],
    [
      ENGINE,
      'execute-stage',
      DEPLOY,
      { initiator: 'rita', labels: { env: 'production' } },
      'permitted by `engine-runs-stages`',
    ],
    [
      ENGINE,
      'pass-point-of-no-return',
      DEPLOY,
      { labels: { env: 'staging' } },
      'permitted by `staging-may-go-all-the-way`',
    ],
    [ENGINE, 'pass-point-of-no-return', DEPLOY, {}, 'no permit matched'],
  ])('answer %s, %s on %s with %j: %s', (principal, action, resource, context, reason) => {
    expect(reasonFor(principal, action, resource, context)).toBe(reason);
  });
});

describe('the tables of docs/authorization.md', () => {
  it('have the actions of the schema, with their principals and resources', () => {
    const declared = [...VAPORA_SCHEMA.matchAll(/action ([^{]+?)\s+appliesTo \{([^}]*)\}/g)].flatMap(
      ([, names = '', applies = '']) => {
        const ofType = (what: string) => new RegExp(`${what}: \\[(\\w+)\\]`).exec(applies)?.[1] ?? '';
        return [...names.matchAll(/"([\w-]+)"/g)].map(([, name = '']) =>
          [name, ofType('principal'), ofType('resource')].map((word) => `\`${word}\``),
        );
      },
    );
    expect(
      rowsOf('actions')
        .map((row) => row.slice(0, 3))
        .sort(),
    ).toEqual(declared.sort());
  });

  it('have the fields of the context, with their types', () => {
    const body = /type RequestContext = \{([\s\S]*?)\n\};/.exec(VAPORA_SCHEMA)?.[1] ?? '';
    const fields = [...body.matchAll(/^ {2}(\w+): (.+),$/gm)].map(([, name = '', type = '']) => [
      `\`${name}\``,
      `\`${type}\``,
    ]);
    expect(rowsOf('context').map((row) => row.slice(0, 2))).toEqual(fields);
  });
});
