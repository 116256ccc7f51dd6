import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CedarAuthorizer } from './cedar.js';
import { cedarGeneration } from './engine.js';
import { MAX_POLICY_FILE_BYTES, MAX_POLICY_FILES } from './load.js';
import { authorizerOf, cleanUp, executeStage, policyDir, refusalOf } from './policy-dir.suite.js';

afterEach(cleanUp);

const ALL = 'permit(principal, action, resource);\n';

/** `file:line:column message` of each problem, files by name only. */
async function problemsOf(files: Record<string, string | null>): Promise<string[]> {
  const path = await policyDir(files);
  const error = await refusalOf(CedarAuthorizer.loadFromDir(path));
  expect(error.code).toBe('policy_invalid');
  expect(error.message).toContain(path);
  return error.problems.map(({ message, place }) => {
    expect(place).toBeDefined();
    return `${place?.file.replace(`${path}/`, '')}:${place?.line}:${place?.column} ${message}`;
  });
}

describe('a directory that can not be used', () => {
  it('is refused where it is missing, a file, or empty', async () => {
    const path = await policyDir({ file: '', 'notes.txt': 'permit' });
    const missing = await refusalOf(CedarAuthorizer.loadFromDir(join(path, 'nowhere')));
    expect(missing.message).toMatch(/^policy directory `.*nowhere` does not exist$/);
    expect(missing.problems).toHaveLength(1);
    const file = await refusalOf(CedarAuthorizer.loadFromDir(join(path, 'file')));
    expect(file.message).toMatch(/is not a directory$/);
    const empty = await refusalOf(CedarAuthorizer.loadFromDir(path));
    expect(empty).toMatchObject({
      code: 'policy_invalid',
      hint: expect.stringContaining('cedar_policy_dir'),
    });
    expect(empty.message).toContain('there is no policy in');
  });

  it('is refused where its files hold only comments', async () => {
    expect(await problemsOf({ 'a.cedar': '// permit(principal, action, resource);\n' })).toHaveLength(1);
  });

  it('is refused where it holds more files than are read', async () => {
    const path = await policyDir({});
    const names = Array.from({ length: MAX_POLICY_FILES + 1 }, (_, at) => join(path, `p${at}.cedar`));
    await Promise.all(names.map((name) => writeFile(name, '')));
    const error = await refusalOf(CedarAuthorizer.loadFromDir(path));
    expect(error.message).toMatch(/holds more than 2000 policy files$/);
  });
});

describe('a file that can not be used', () => {
  it('is a problem, whatever keeps it from being read', async () => {
    const path = await policyDir({
      'a.cedar': ALL,
      'dir.cedar': null,
      'large.cedar': `//${' '.repeat(MAX_POLICY_FILE_BYTES)}`,
    });
    await symlink(join(path, 'gone'), join(path, 'link.cedar'));
    await symlink('loop.cedar', join(path, 'loop.cedar'));
    await symlink('/dev/null', join(path, 'null.cedar'));
    await writeFile(join(path, 'latin.cedar'), Buffer.from([0x2f, 0x2f, 0xe9]));
    const error = await refusalOf(CedarAuthorizer.loadFromDir(path));
    expect(error.problems.map((problem) => problem.message)).toEqual([
      '`dir.cedar` is a directory, not a file',
      '`large.cedar` is larger than 262144 bytes',
      '`latin.cedar` is not UTF-8 text',
      '`link.cedar` does not exist',
      '`loop.cedar` is a loop of links',
      '`null.cedar` is not a regular file',
    ]);
    expect(error.message).toMatch(/dir\.cedar:1:1\), and 5 more$/);
  });

  it('is placed where the syntax is wrong, in characters, every such policy of every file', async () => {
    const a = `${ALL}// ünï\npermit(principal, action, resource)\n  when { "é𝔘" = 1 };\npermt(principal, action, resource);\n`;
    expect(await problemsOf({ 'a.cedar': a, 'b.cedar': 'permit(principal, action, resource)' })).toEqual([
      "a.cedar:4:10 '=' is not a valid operator in Cedar",
      'a.cedar:5:1 invalid policy effect: permt',
      'b.cedar:1:36 unexpected end of input',
    ]);
  });

  it('keeps what Cedar advises as a hint', async () => {
    const path = await policyDir({ 'a.cedar': 'permit(principal == Usr::"x", action, resource);' });
    const error = await refusalOf(CedarAuthorizer.loadFromDir(path));
    expect(error.problems).toMatchObject([
      { message: 'unrecognized entity type `Usr`', hint: 'did you mean `User`?' },
    ]);
  });

  it('is placed where a type is wrong, once for each place', async () => {
    const text = `${ALL}forbid(principal, action, resource)\nwhen {\n  context.attempt == 1 &&\n  context.attmpt == 1 };\n@id("b") permit(principal, action == Action::"execute-stag", resource);`;
    const problems = await problemsOf({ 'a.cedar': text });
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/^a\.cedar:5:3 attribute `attmpt` in context/);
    expect(problems[1]).toMatch(/^a\.cedar:6:38 unrecognized action/);
  });

  it('is placed right in a condition that had to be grouped', async () => {
    const clauses = Array.from({ length: 40 }, (_, at) => `context.attempt != ${at}`);
    clauses[23] = 'context.nothing == 1';
    const text = `permit(principal, action, resource) when {\n${clauses.join(' &&\n')}\n};`;
    const problems = await problemsOf({ 'a.cedar': text });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^a\.cedar:25:1 /);
  });

  it('is refused before Cedar sees it where a policy nests too deeply', async () => {
    const nest = (n: number) =>
      `${ALL} permit(principal, action, resource) when { ${'('.repeat(n)}true${')'.repeat(n)} };`;
    const before = cedarGeneration();
    const problems = await problemsOf({ 'a.cedar': nest(200), 'b.cedar': `permit(${'['.repeat(5_000)}` });
    expect(problems[0]).toMatch(/^a\.cedar:2:2 the policy nests \d+ levels deep, at most 48 are allowed$/);
    expect(problems[1]).toMatch(/^b\.cedar:1:1 the policy nests/);
    expect(cedarGeneration()).toBeLessThanOrEqual(before + 1);
    const { authorizer } = await authorizerOf({ 'a.cedar': nest(40) });
    expect(authorizer.authorize(executeStage()).effect).toBe('allow');
  });

  it('may not hold templates', async () => {
    const [problem] = await problemsOf({ 'a.cedar': 'permit(principal == ?principal, action, resource);' });
    expect(problem).toMatch(/^a\.cedar:1:21 expected a static policy/);
  });
});

describe('policy ids', () => {
  it('are the annotation, or the file and the position in it', async () => {
    const { authorizer } = await authorizerOf({
      'b.cedar': `${ALL}@id("named") @reason("why") ${ALL}${ALL}`,
      'a.cedar': `// first\n${ALL}`,
    });
    expect(authorizer.describe().map(({ id, line }) => [id, line])).toEqual([
      ['a.cedar#1', 2],
      ['b.cedar#1', 1],
      ['named', 2],
      ['b.cedar#3', 3],
    ]);
    expect(authorizer.describe()[2]?.annotations).toEqual({ id: 'named', reason: 'why' });
    expect(authorizer.authorize(executeStage()).policies).toHaveLength(4);
  });

  it('are taken once: the second is refused, with both places', async () => {
    const problems = await problemsOf({
      'a.cedar': `@id("x") ${ALL}`,
      'b.cedar': `${ALL}@id("x") ${ALL}@id("b.cedar#1") ${ALL}`,
    });
    expect(problems[0]).toMatch(/^b\.cedar:2:1 policy id `x` is already taken at .*a\.cedar:1:1$/);
    expect(problems[1]).toMatch(/^b\.cedar:3:1 policy id `b\.cedar#1` is already taken at .*b\.cedar:1:1$/);
    expect(problems).toHaveLength(2);
  });

  it('are not empty', async () => {
    expect(await problemsOf({ 'a.cedar': `@id("") ${ALL}@id ${ALL}` })).toHaveLength(2);
  });
});

describe('the directory’s own schema', () => {
  it('adds to the shipped one', async () => {
    const { authorizer } = await authorizerOf({
      'more.cedarschema':
        'entity Team;\naction "praise" appliesTo { principal: [User], resource: [Workflow], context: RequestContext };',
      'a.cedar': 'permit(principal, action == Action::"praise", resource);',
    });
    expect(authorizer.describe()).toHaveLength(1);
  });

  it('is placed where it does not parse, does not resolve, or conflicts', async () => {
    const start = { 'a.cedar': ALL, 'a.cedarschema': 'entity Team;\n' };
    expect(await problemsOf({ ...start, 'b.cedarschema': '\nentity X in Foo];' })).toEqual([
      'b.cedarschema:2:16 unexpected token `]`',
    ]);
    expect(await problemsOf({ ...start, 'b.cedarschema': 'entity X in [Foo];' })).toEqual([
      'b.cedarschema:1:14 failed to resolve type: Foo',
    ]);
    expect(await problemsOf({ ...start, 'b.cedarschema': '// ü\nentity User;' })).toEqual([
      'b.cedarschema:2:8 `User` is declared twice',
    ]);
    expect(await problemsOf({ 'a.cedar': ALL, 'a.cedarschema': `type X = ${'Set<'.repeat(500)}` })).toEqual([
      'a.cedarschema:1:1 the schema nests deeper than 32 levels',
    ]);
  });
});

describe('entities.json', () => {
  const problemsWith = (text: string) => problemsOf({ 'a.cedar': ALL, 'entities.json': text });

  it('is placed where it is not JSON or not a list', async () => {
    expect(await problemsWith('[\n  {]')).toEqual(['entities.json:2:4 the file is not JSON']);
    expect(await problemsWith('[')).toEqual(['entities.json:1:2 the file is not JSON']);
    expect(await problemsWith('[{"uid":1,\n"uid":2}]')).toEqual([
      'entities.json:2:1 the file has the key `uid` twice in one object',
    ]);
    expect(await problemsWith('{}')).toEqual(['entities.json:1:1 the file is not a JSON array of entities']);
    expect(await problemsWith('['.repeat(100_000))).toHaveLength(1);
  });

  it('is placed at each entity that is malformed or does not fit the schema', async () => {
    const ann = '{ "uid": { "type": "User", "id": "a,]" }, "parents": [] }';
    expect(await problemsWith(`[${ann},\n 7,\n {"uid": {"type": "Stage", "id": "x"}}]`)).toEqual([
      'entities.json:2:2 the entity is malformed: invalid input: expected object, received number',
      'entities.json:3:2 `Stage::"x"` comes from the engine and can\'t be given',
    ]);
    const misfit = '{"uid": {"type": "User", "id": "x"}, "parents": [{"type": "Workflow", "id": "w"}]}';
    const [problem, ...others] = await problemsWith(`[${ann},\n ${misfit}]`);
    expect(problem).toMatch(/^entities\.json:2:2 .*not allowed to have an ancestor of type `Workflow`/);
    expect(others).toEqual([]);
  });

  it('may hold neither cycles, nor twins, nor what would break the evaluator', async () => {
    const group = (id: string, parent: string) =>
      `{"uid":{"type":"Group","id":"${id}"},"parents":[{"type":"Group","id":"${parent}"}]}`;
    expect((await problemsWith(`[${group('a', 'b')},${group('b', 'a')}]`))[0]).toContain('cycle');
    expect((await problemsWith(`[${group('a', 'b')},${group('a', 'c')}]`))[0]).toContain('duplicate');
    expect((await problemsWith(`[${group('\\ud800', 'b')}]`))[0]).toContain('not valid Unicode');
    const deep = `{"uid":{"type":"User","id":"x"},"attrs":{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`;
    expect((await problemsWith(`[${deep}]`))[0]).toContain('deeper than 16 levels');
    const surrogate = '{"uid":{"type":"User","id":"x"},"attrs":{"a":["\\udc00"]}}';
    expect((await problemsWith(`[${surrogate}]`))[0]).toContain('not valid Unicode');
  });
});
