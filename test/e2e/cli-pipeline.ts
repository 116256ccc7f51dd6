/** A pipeline whose agents do as they are told, and the program run against it as a user would. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const VAPORA = fileURLToPath(new URL('../../bin/vapora', import.meta.url));

const AGENT = `
import { existsSync } from 'node:fs';
let text = '';
for await (const chunk of process.stdin) text += chunk;
const task = JSON.parse(text);
const say = (value) => console.log(JSON.stringify(value));
switch (task.role) {
  case 'undo':
    if (existsSync('undo-is-broken')) process.exit(1);
    say({ output: 'undone' });
    break;
  case 'fail':
    console.error('it broke');
    process.exit(1);
  case 'slow':
    say({ progress: 'sleeping' });
    await new Promise((resolve) => setTimeout(resolve, task.input.ms ?? 60_000));
    say({});
    break;
  default:
    say({ artifacts: [{ name: 'note', kind: 'documentation', content: 'made by ' + task.stage_name }] });
}
`;

const CONFIG = `
[engine]
cedar_policy_dir = "policies"

[[workflows]]
name = "good"
stages = [{ name = "a", agents = ["ok"], compensation_agents = ["undo"] }, { name = "b", agents = ["ok"] }]

[[workflows]]
name = "bad"
stages = [{ name = "a", agents = ["ok"], compensation_agents = ["undo"] }, { name = "b", agents = ["fail"] }]

[[workflows]]
name = "gate"
stages = [
  { name = "a", agents = ["ok"], compensation_agents = ["undo"] },
  { name = "b", agents = ["ok"], approval_required = true, compensation_agents = ["undo"] },
  { name = "c", agents = ["ok"], approval_required = true },
]

[[workflows]]
name = "slow"
stages = [{ name = "a", agents = ["ok"], compensation_agents = ["undo"] }, { name = "b", agents = ["slow"] }]

[[workflows]]
name = "denied"
stages = [{ name = "a", agents = ["ok"], compensation_agents = ["undo"] }, { name = "forbidden", agents = ["ok"] }]

[[workflows]]
name = "lost"
stages = [
  { name = "a", agents = ["ok"], compensation_agents = ["undo"], compensation_retry = { max_attempts = 1 } },
  { name = "b", agents = ["fail"] },
]

[[agents]]
name = "worker"
roles = ["ok", "undo", "fail", "slow"]
max_concurrent = 4
command = ["${process.execPath}", "agent.mjs"]
`;

const POLICIES = `
@id("all")
permit (principal, action, resource);
@id("no-forbidden-stage")
forbid (principal, action == Action::"execute-stage", resource == Stage::"forbidden");
@id("mallory-approves-nothing")
forbid (principal == User::"mallory", action == Action::"approve-stage", resource);
`;

export interface Ran {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Each line of stdout as JSON. */
  json(): Record<string, unknown>[];
}

export class CliPipeline {
  readonly directory: string;
  /** Other processes must not be disturbed by what a developer has in their environment. */
  readonly env: NodeJS.ProcessEnv;
  readonly #servers: ChildProcessWithoutNullStreams[] = [];

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'vapora-cli-'));
    const { PATH, HOME } = process.env;
    this.env = { PATH, HOME, USER: 'tester' };
    this.write('workflows.toml', CONFIG);
    this.write('agent.mjs', AGENT);
    mkdirSync(join(this.directory, 'policies'));
    this.write('policies/all.cedar', POLICIES);
  }

  write(name: string, content: string): void {
    writeFileSync(join(this.directory, name), content);
  }

  append(name: string, content: string): void {
    appendFileSync(join(this.directory, name), content);
  }

  makeDirectory(name: string): void {
    mkdirSync(join(this.directory, name));
  }

  remove(name: string): void {
    rmSync(join(this.directory, name), { force: true, recursive: true });
  }

  run(...args: string[]): Ran {
    return this.runWith({}, ...args);
  }

  runWith(more: { input?: string; env?: NodeJS.ProcessEnv; cwd?: string }, ...args: string[]): Ran {
    const { status, stdout, stderr } = spawnSync(VAPORA, args, {
      cwd: more.cwd ?? this.directory,
      env: { ...this.env, ...more.env },
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      timeout: 60_000,
      input: more.input ?? '',
    });
    const json = () =>
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    return { exit: status, stdout, stderr, json };
  }

  start(...args: string[]): ChildProcessWithoutNullStreams {
    return spawn(VAPORA, args, { cwd: this.directory, env: this.env });
  }

  /** A server over the pipeline's store. Answers its URL once it listens. */
  async serve(...args: string[]): Promise<{ url: string; child: ChildProcessWithoutNullStreams }> {
    const child = this.start('serve', '--port', '0', '--json', ...args);
    this.#servers.push(child);
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (chunk) => {
        stdout += String(chunk);
        if (stdout.includes('\n')) resolve(String(JSON.parse(stdout.split('\n')[0] ?? '').url));
      });
      child.once('close', (code) => reject(new Error(`the server ended with ${code}: ${stderr}`)));
    });
    return { url, child };
  }

  close(): void {
    for (const server of this.#servers) server.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function lastOf(ran: Ran): Record<string, unknown> {
  return ran.json().at(-1) ?? {};
}
