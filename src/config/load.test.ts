import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VaporaError } from '../core/errors.js';
import { parseStoreUrl } from '../store/surreal/url.js';
import { isCommandAgent } from './agents.js';
import { ENVIRONMENT_OVERRIDES } from './env.js';
import { findConfig, loadConfig, MAX_CONFIG_BYTES, parseConfig } from './load.js';
import { formatProblem } from './report.js';

const where = { file: '/srv/app/workflows.toml' };
const parse = (text: string, env: NodeJS.ProcessEnv = {}) => parseConfig(text, where, env);

const full = `
#:schema ./workflows.schema.json
[engine]
max_parallel_tasks = 4
workflow_timeout = 1.5
approval_gates_enabled = true
cedar_policy_dir = "policies"
store = "surrealkv://data/../state?sync=every"
on_deny = "compensate"
saga_parallelism = 2
limits = { max_input_bytes = 10, max_output_bytes = 11 }

[[workflows]]
name = "release"
trigger = "manual"

[[workflows.stages]]
name = "build"
agents = ["builder", "tester"]
parallel = true
compensation_agents = ["cleaner"]
retry = { max_attempts = 2, initial_ms = 90_000 }
compensation_retry = { max_ms = 10 }
compensation_timeout = 0.25

[[workflows.stages]]
name = "deploy"
agents = ["builder", "tester"]
max_parallel = 1
approval_required = true
approval_timeout = 60
on_approval_timeout = "approve"
timeout = 30
compensate_failed = "always"
irreversible = true

[[agents]]
name = "worker"
roles = ["builder", "tester", "cleaner"]
max_concurrent = 3
command = ["./bin/work", "--fast"]
cwd = "work"
timeout = 2
[agents.env]
MODE = "x"
`;

describe('parseConfig', () => {
  it('reads every key, in milliseconds and with absolute paths', () => {
    const config = parse(full);
    expect(config).toMatchObject({ file: where.file, directory: '/srv/app', warnings: [] });
    expect(config.engine).toEqual({
      maxParallelTasks: 4,
      workflowTimeoutMs: 1_500,
      approvalGatesEnabled: true,
      cedarPolicyDir: '/srv/app/policies',
      store: 'surrealkv:///srv/app/state?sync=every',
      onDeny: 'compensate',
      outbound: { hosts: [], networks: [] },
      sagaParallelism: 2,
      retention: { keepMs: null, archiveDir: null },
      agentLeaseMs: 30_000,
      limits: {
        maxInputBytes: 10,
        maxArtifactBytes: 16_777_216,
        maxOutputBytes: 11,
        maxStages: 1_000,
        maxTemplates: 1_000,
      },
    });
    expect(config.agents).toEqual([
      {
        name: 'worker',
        roles: ['builder', 'tester', 'cleaner'],
        maxConcurrent: 3,
        command: ['/srv/app/bin/work', '--fast'],
        cwd: '/srv/app/work',
        env: { MODE: 'x' },
        timeoutMs: 2_000,
      },
    ]);
    const template = config.templates.get('release');
    expect(template).toMatchObject({ timeoutMs: 1_500, onDeny: 'compensate', sagaParallelism: 2 });
    expect(template?.stages).toMatchObject([
      {
        name: 'build',
        parallel: true,
        maxParallel: 2,
        needs: [],
        compensationAgents: ['cleaner'],
        retry: { maxAttempts: 2, initialMs: 90_000, maxMs: 90_000, factor: 2, jitter: 0.2 },
        compensationRetry: { maxAttempts: 5, initialMs: 10, maxMs: 10 },
        compensationTimeoutMs: 250,
        compensateFailed: 'completed_tasks',
        approvalRequired: false,
        onApprovalTimeout: 'reject',
        timeoutMs: null,
        irreversible: false,
      },
      {
        name: 'deploy',
        parallel: false,
        maxParallel: 1,
        needs: ['build'],
        compensationAgents: [],
        retry: { maxAttempts: 3, initialMs: 1_000, maxMs: 60_000 },
        compensationTimeoutMs: 300_000,
        compensateFailed: 'always',
        approvalRequired: true,
        approvalTimeoutMs: 60_000,
        onApprovalTimeout: 'approve',
        timeoutMs: 30_000,
        irreversible: true,
      },
    ]);
  });

  it('fills in defaults for an empty text', () => {
    const config = parse('');
    expect(config.engine).toMatchObject({
      maxParallelTasks: 10,
      workflowTimeoutMs: null,
      approvalGatesEnabled: true,
      cedarPolicyDir: null,
      store: 'rocksdb:///srv/app/.vapora/store',
      onDeny: 'block',
      sagaParallelism: 1,
    });
    expect(config.templates.size).toBe(0);
  });

  it('is frozen all the way down', () => {
    const config = parse(full);
    const template = config.templates.get('release');
    expect(() => Object.assign(config.engine.limits, { maxStages: 1 })).toThrow(TypeError);
    expect(() => Object.assign(template?.stages[0]?.retry ?? {}, { factor: 9 })).toThrow(TypeError);
    expect(() => Object.assign(config.agents, { 0: null })).toThrow(TypeError);
    expect(() => (config.templates as Map<string, unknown>).set('x', 1)).toThrow(/frozen/);
  });

  it('hashes a template by content, not by how it is written', () => {
    const stage = (keys: string) => `[[workflows]]\nname = "w"\n[[workflows.stages]]\n${keys}`;
    const hash = (text: string) => parse(text).templates.get('w')?.hash;
    const first = hash(stage('name = "s"\nagents = ["r"]'));
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(hash(`# other\n${stage('agents = ["r"] \nname = "s"\nneeds = []')}`)).toBe(first);
    expect(hash(stage('name = "s"\nagents = ["q"]'))).not.toBe(first);
    expect(hash(`[engine]\nworkflow_timeout = 1\n${stage('name = "s"\nagents = ["r"]')}`)).not.toBe(first);
  });

  it('treats names of object properties as names', () => {
    const text = `
[[workflows]]
name = "__proto__"
stages = [{ name = "constructor", agents = ["toString"] }, { name = "__proto__", agents = ["__proto__"] }]
[[agents]]
name = "__proto__"
roles = ["toString", "__proto__"]
command = ["x"]
env = { __proto__ = "polluted" }
`;
    const config = parse(text);
    expect(config.warnings).toEqual([]);
    const stages = config.templates.get('__proto__')?.stages;
    expect(stages?.map(({ name, needs }) => [name, needs])).toEqual([
      ['constructor', []],
      ['__proto__', ['constructor']],
    ]);
    expect(Object.entries(config.agents.find(isCommandAgent)?.env ?? {})).toEqual([
      ['__proto__', 'polluted'],
    ]);
    expect(config.templates.get('constructor')).toBeUndefined();
  });

  it('orders stages by their needs, otherwise as written', () => {
    const stage = (name: string, needs: string) => `{ name = "${name}", agents = ["r"], needs = ${needs} }`;
    const stages = [stage('d', '["b", "c"]'), stage('c', '["a"]'), stage('b', '["a"]'), stage('a', '[]')];
    const config = parse(`[[workflows]]\nname = "w"\nstages = [${stages.join(', ')}, ${stage('e', '[]')}]`);
    const order = config.templates.get('w')?.stages.map(({ name }) => name);
    expect(order).toEqual(['a', 'c', 'b', 'd', 'e']);
  });

  it('drops approvals where the gates are off, and says which', () => {
    const config = parse(full.replace('approval_gates_enabled = true', 'approval_gates_enabled = false'));
    expect(config.templates.get('release')?.stages.some((stage) => stage.approvalRequired)).toBe(false);
    expect(config.warnings.map(formatProblem)).toEqual([
      '/srv/app/workflows.toml:6:26: approval gates are off: `release/deploy` will run without approval',
    ]);
  });

  it('warns of roles that no declared agent serves, with the nearest one', () => {
    const config = parse(full.replace('agents = ["builder", "tester"]', 'agents = ["builder", "testr"]'));
    expect(config.warnings).toEqual([
      {
        message: 'stage `build` names unknown agent role `testr`',
        severity: 'warning',
        path: 'workflows[0].stages[0].agents[1]',
        place: { file: where.file, line: 19, column: 22 },
        hint: 'did you mean `tester`?',
      },
    ]);
  });

  it('warns of keys without effect', () => {
    const stage = '{ name = "s", agents = ["r"], max_parallel = 2, approval_timeout = 1 }';
    const config = parse(`[[workflows]]\nname = "w"\nstages = [${stage}]`);
    expect(config.warnings.map(({ message }) => message)).toEqual([
      '`max_parallel` of stage `s` has no effect without `parallel = true`',
      '`approval_timeout` of stage `s` has no effect without `approval_required = true`',
    ]);
  });
});

describe('environment variables', () => {
  it('override the keys of the file', () => {
    const config = parse('[engine]\nmax_parallel_tasks = 1\nstore = "mem://"\nlimits.max_stages = 3\n', {
      VAPORA_MAX_PARALLEL_TASKS: '7',
      VAPORA_WORKFLOW_TIMEOUT: '0.5',
      VAPORA_APPROVAL_GATES_ENABLED: 'false',
      VAPORA_CEDAR_POLICY_DIR: 'p',
      VAPORA_STORE: 'rocksdb://s',
      VAPORA_ON_DENY: 'compensate',
      VAPORA_SAGA_PARALLELISM: '3',
      VAPORA_MAX_TEMPLATES: '9',
    });
    expect(config.engine).toMatchObject({
      maxParallelTasks: 7,
      workflowTimeoutMs: 500,
      approvalGatesEnabled: false,
      cedarPolicyDir: '/srv/app/p',
      store: 'rocksdb:///srv/app/s',
      onDeny: 'compensate',
      sagaParallelism: 3,
      limits: { maxStages: 3, maxTemplates: 9 },
    });
  });

  it('count as not set where empty', () => {
    expect(parse('', { VAPORA_STORE: '', VAPORA_ON_DENY: '' }).engine.onDeny).toBe('block');
  });

  it('give user and password of a server, above those of its URL', () => {
    const env = { VAPORA_STORE_USER: 'ann', VAPORA_STORE_PASSWORD: 'p@ss/w:rd%' };
    const store = (url: string, more: NodeJS.ProcessEnv = env) =>
      parse(`[engine]\nstore = "${url}"`, more).engine.store;
    expect(parseStoreUrl(store('wss://bob:x@db.example.org/a/b?user=database'))).toMatchObject({
      credentials: { username: 'ann', password: 'p@ss/w:rd%' },
      address: 'wss://db.example.org',
      namespace: 'a',
      database: 'b',
      level: 'database',
    });
    expect(parseStoreUrl(store('ws://bob:x@h', { VAPORA_STORE_PASSWORD: 'y' }))).toMatchObject({
      credentials: { username: 'bob', password: 'y' },
    });
    expect(store('ws://bob:x@h', {})).toBe('ws://bob:x@h');
    expect(store('mem://')).toBe('mem://');
  });

  it.each(
    ENVIRONMENT_OVERRIDES.filter(({ key }) => !['cedar_policy_dir', 'archive'].includes(key.at(-1) ?? '')),
  )('are refused by name where wrong: $name', ({ name, key }) => {
    const problems = problemsOf(() => parse('', { [name]: 'x y' }));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain(`environment variable \`${name}\``);
    expect(problems[0]).toMatchObject({ path: key.join('.'), expected: expect.any(String) });
    expect(problems[0]?.place).toBeUndefined();
  });
});

describe('loadConfig', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vapora-config-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const write = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(directory, name), content);
    return join(directory, name);
  };

  it('reads a file', async () => {
    const config = await loadConfig(await write('ok.toml', `\uFEFF${full}`), {});
    expect([...config.templates.keys()]).toEqual(['release']);
    expect(config.directory).toBe(directory);
  });

  it.each([
    ['a missing file', 'missing.toml', 'config_not_found', 'there is no file'],
    ['a file below a file', 'ok.toml/x', 'config_not_found', 'there is no file'],
    ['a name with NUL', 'a\0b', 'config_not_found', 'there is no file'],
    ['a directory', '.', 'config_invalid', 'is not a file'],
    ['a name that is too long', 'x'.repeat(5_000), 'config_invalid', 'ENAMETOOLONG'],
  ])('refuses %s', async (_, name, code, message) => {
    await write('ok.toml', full);
    const error = await loadConfig(join(directory, name), {}).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(VaporaError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('does not wait for the writer of a named pipe', async () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(loadConfig(pipe, {})).rejects.toMatchObject({ code: 'config_invalid' });
  });

  it('refuses text that is not UTF-8, and text that is too large', async () => {
    const binary = await write('binary.toml', new Uint8Array([0x61, 0x3d, 0xff, 0xfe]));
    await expect(loadConfig(binary, {})).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('is not UTF-8'),
    });
    const large = await write('large.toml', '#'.repeat(MAX_CONFIG_BYTES + 1));
    await expect(loadConfig(large, {})).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('is larger than 1048576 bytes'),
    });
  });

  it('is found in the directory or above it', async () => {
    const inner = join(directory, 'a', 'b');
    await mkdir(inner, { recursive: true });
    expect(await findConfig(inner)).toBeNull();
    const file = await write('workflows.toml', '');
    expect(await findConfig(inner)).toBe(file);
    expect(await findConfig(directory)).toBe(file);
  });
});

function problemsOf(act: () => unknown) {
  try {
    act();
  } catch (error) {
    if (error instanceof VaporaError) return error.problems;
    throw error;
  }
  return [];
}
