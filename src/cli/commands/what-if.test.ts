/** Candidates that are no policy set: on a store itself, where nobody but the command looks at them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fakeHost } from '../host.suite.js';
import { execute } from '../main.js';

const CONFIG = `
[engine]
store = "mem://"
cedar_policy_dir = "policies"
[[workflows]]
name = "release"
stages = [{ name = "build", agents = ["builder"] }]
`;
const ALL = 'permit (principal, action, resource);';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'vapora-what-if-'));
  await writeFile(join(cwd, 'workflows.toml'), CONFIG);
  for (const directory of ['policies', 'empty']) await mkdir(join(cwd, directory));
  await writeFile(join(cwd, 'policies', 'all.cedar'), ALL);
  await writeFile(join(cwd, 'file'), ALL);
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

async function whatIf(directory: string) {
  const host = fakeHost({ cwd });
  const exit = await execute(['policy', 'what-if', directory, '--json'], host);
  const [error] = host.out.map((text) => JSON.parse(text));
  return { exit, error, err: host.err.join('') };
}

it.each([
  ['a syntax error', { 'b.cedar': `// one\n\npermit (principal, action resource);` }, 'b.cedar', 3, 27],
  [
    'a type error',
    { 'b.cedar': `${ALL}\npermit (principal, action, resource)\n  when { context.nope };` },
    'b.cedar',
    3,
    10,
  ],
  ['a bad schema', { 'b.cedar': ALL, 'x.cedarschema': 'entity Team in [;' }, 'x.cedarschema', 1, 17],
  ['bad entities', { 'b.cedar': ALL, 'entities.json': '[{"uid": {}}]' }, 'entities.json', 1, 2],
  ['one good and one bad file', { 'a.cedar': ALL, 'b.cedar': 'permit' }, 'b.cedar', 1, 7],
  ['a file that is not text', { 'b.cedar': Buffer.from([0xff, 0xfe, 0x00]) }, 'b.cedar', 1, 1],
])('%s is a coded error with its file, line and column', async (name, files, file, line, column) => {
  const directory = name.replaceAll(' ', '-');
  await mkdir(join(cwd, directory));
  for (const [each, content] of Object.entries(files)) await writeFile(join(cwd, directory, each), content);
  const { exit, error, err } = await whatIf(directory);
  const path = join(cwd, directory, file);
  expect([exit, error.code]).toEqual([2, 'policy_invalid']);
  expect(error.problems[0]).toMatchObject({ severity: 'error', file: path, line, column });
  expect(err).toContain(`${path}:${line}:${column}`);
});

it.each([
  ['gone', 'does not exist'],
  ['file', 'is not a directory'],
  ['empty', 'there is no policy in'],
])('a directory that holds no policies, %s, is one too', async (directory, why) => {
  const { exit, error } = await whatIf(directory);
  expect([exit, error.code]).toEqual([2, 'policy_invalid']);
  expect(error.message).toContain(why);
  expect(error.problems[0].file).toBe(join(cwd, directory));
});
