/** Agents in three languages, each a process of its own, and what becomes of their tasks when somebody is killed. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../tidy/source.js';
import { getJson, type Running, startServer, until } from './server.js';

const EXAMPLE = join(ROOT, 'examples', 'agents');
const PATIENCE_MS = 60_000;

/** A directory with the example's configuration, with leases of so many seconds. */
function project(leaseSeconds: number): string {
  const directory = mkdtempSync(join(tmpdir(), 'vapora-remote-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const config = readFileSync(join(EXAMPLE, 'workflows.toml'), 'utf8');
  expect(config).toContain('agent_lease = 10');
  const text = config.replace('agent_lease = 10', `agent_lease = ${leaseSeconds}`);
  writeFileSync(join(directory, 'workflows.toml'), text);
  return directory;
}

/** Resolves once the agent has been let in. */
async function startAgent(
  { url }: Running,
  directory: string,
  [program, script]: readonly [program: string, script: string],
): Promise<ChildProcessWithoutNullStreams> {
  const child = spawn(program, [join(EXAMPLE, script), url, directory]);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      said += String(chunk);
    });
    child.stdout.on('data', (chunk) => {
      said += String(chunk);
      if (said.includes(' is there')) resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code}: ${said}`)));
  });
  return child;
}

const PYTHON = ['python3', 'agent.py'] as const;
const COMMANDS = [PYTHON, ['sh', 'agent.sh'] as const, [process.execPath, 'agent.mjs'] as const];

function startAll(server: Running, directory: string): Promise<ChildProcessWithoutNullStreams[]> {
  return Promise.all(COMMANDS.map((command) => startAgent(server, directory, command)));
}

type Json = Record<string, unknown>;

async function startNotes({ url }: Running, input: Json): Promise<string> {
  const answer = await fetch(`${url}/api/v1/instances`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ workflow: 'release-notes', input }),
  });
  return String(((await answer.json()) as Json).workflow_id);
}

async function atRest({ url }: Running, id: string): Promise<Json> {
  const rest = () => getJson(`${url}/api/v1/instances/${id}/rest?wait=20`);
  const { instance } = await until(rest, (answer) => answer.is_resting === true);
  return instance as Json;
}

interface Task {
  readonly state: string;
  readonly attempt: number;
  readonly interruptions: number;
}

function draftOf(instance: Json): Task {
  const [draft] = instance.stages as { tasks: Task[] }[];
  const [task] = draft?.tasks ?? [];
  if (task === undefined) throw new Error('the draft has no task yet');
  return task;
}

/** Resolves once an agent is at the first stage. */
async function drafting({ url }: Running, id: string): Promise<void> {
  await until(
    () => getJson(`${url}/api/v1/instances/${id}`),
    (instance) => (instance.stages as { tasks: Task[] }[])[0]?.tasks[0]?.state !== 'pending',
  );
}

const filesOf = (directory: string, ending: string) =>
  readdirSync(directory).filter((name) => name.endsWith(ending));

describe('agents in Python, shell and JavaScript', () => {
  it(
    'carry a pipeline out together, take it back when it fails, and leave in order',
    async () => {
      const directory = project(10);
      const server = await startServer(directory);
      const children = await startAll(server, directory);
      const good = await atRest(server, await startNotes(server, { version: '1.2', must_say: '1.2' }));
      expect(good.state).toBe('completed');
      const left = [...filesOf(directory, '.draft'), ...filesOf(directory, '.published')];
      expect(left).toHaveLength(2);
      for (const file of left) expect(readFileSync(join(directory, file), 'utf8').trim()).toBe('Release 1.2');

      const bad = await atRest(server, await startNotes(server, { version: '1.3', must_say: '2.0' }));
      expect(bad.state).toBe('failed');
      expect(bad.error).toMatchObject({ code: 'task_failed' });
      const after = [...filesOf(directory, '.draft'), ...filesOf(directory, '.published')];
      expect(after.toSorted()).toEqual(left.toSorted());

      const ended = children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
      for (const child of children) child.kill('SIGTERM');
      expect(await Promise.all(ended)).toEqual([0, 0, 0]);
      expect((await getJson(`${server.url}/api/v1/agents`)).agents).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'one that is killed is found out by its lease, and another does the task',
    async () => {
      const directory = project(2);
      const server = await startServer(directory);
      const first = await startAgent(server, directory, PYTHON);
      const id = await startNotes(server, { version: '1.2', must_say: '1.2', seconds: 5 });
      await drafting(server, id);
      first.kill('SIGKILL');
      await startAll(server, directory);
      const instance = await atRest(server, id);
      expect(instance.state).toBe('completed');
      expect(draftOf(instance)).toMatchObject({ state: 'completed', attempt: 2, interruptions: 1 });
    },
    PATIENCE_MS,
  );

  it(
    'go on with their tasks while the server is killed and comes back, and the results count',
    async () => {
      const directory = project(30);
      const server = await startServer(directory);
      await startAll(server, directory);
      const id = await startNotes(server, { version: '1.2', must_say: '1.2', seconds: 4 });
      await drafting(server, id);
      await server.end('SIGKILL');
      const again = await startServer(directory, {}, Number(new URL(server.url).port));
      const instance = await atRest(again, id);
      expect(instance.state).toBe('completed');
      expect(draftOf(instance)).toMatchObject({ state: 'completed', attempt: 1, interruptions: 0 });
    },
    PATIENCE_MS,
  );
});
