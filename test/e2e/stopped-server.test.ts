/** Commands on the store of a server that was killed while agents elsewhere are at its tasks. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../tidy/source.js';
import { VAPORA } from './cli-pipeline.js';
import { getJson, makeProject, type Running, startServer, until } from './server.js';

const PATIENCE_MS = 120_000;
const SDK = pathToFileURL(join(ROOT, 'dist', 'agent', 'index.js')).href;

/** Writes down each attempt that it begins, and works until it finds the file `go`. */
const FAR = `
import { appendFileSync, existsSync } from 'node:fs';
import { connectAgent, defineAgent } from '${SDK}';
const far = defineAgent({
  name: 'far-away',
  roles: ['far'],
  async execute({ attempt }) {
    appendFileSync('begun', attempt + '\\n');
    while (!existsSync('go')) await new Promise((resolve) => setTimeout(resolve, 50));
  },
});
const connection = await connectAgent(far, { url: process.argv[2] });
console.log('is there');
await connection.closed;
`;

const CONFIG = (lease: number) => `
[engine]
agent_lease = ${lease}
[[workflows]]
name = "both"
stages = [
  { name = "away", agents = ["far"], needs = [] },
  { name = "gate", agents = ["ok"], needs = [], approval_required = true },
  { name = "more", agents = ["ok"], needs = ["gate"], approval_required = true },
]
[[workflows]]
name = "near"
stages = [{ name = "a", agents = ["ok"] }]
`;

interface Project {
  readonly directory: string;
  readonly server: Running;
  readonly agent: ChildProcessWithoutNullStreams;
}

/** An agent elsewhere is at stage `away` of instance `x`, whose stage `gate` waits for an approval; the server is killed. */
async function killedAtWork(lease: number): Promise<Project> {
  const directory = makeProject(CONFIG(lease));
  writeFileSync(join(directory, 'far.mjs'), FAR);
  const server = await startServer(directory);
  const agent = spawn(process.execPath, ['far.mjs', server.url], { cwd: directory });
  onTestFinished(() => {
    agent.kill('SIGKILL');
  });
  await once(agent.stdout, 'data');
  await fetch(`${server.url}/api/v1/instances`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ workflow: 'both', id: 'x' }),
  });
  await until(
    async () => begun(directory),
    (attempts) => attempts.length === 1,
  );
  await server.end('SIGKILL');
  return { directory, server, agent };
}

function begun(directory: string): string[] {
  try {
    return readFileSync(join(directory, 'begun'), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

function vapora({ directory }: Project, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(VAPORA, [...args, '--json'], {
    cwd: directory,
    encoding: 'utf8',
  });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return { exit: status, stderr, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const typesOf = (project: Project) => vapora(project, 'history', 'x').lines.map(({ type }) => type);

interface Shown {
  readonly stages: readonly {
    readonly tasks: readonly { state: string; attempt: number; interruptions: number }[];
  }[];
}

describe('while an agent elsewhere is at a task of a killed server', () => {
  it(
    'commands on its store leave the attempt alone, and it counts once the server is back',
    async () => {
      const project = await killedAtWork(300);
      const before = typesOf(project);
      for (const args of [
        ['list'],
        ['show', 'x'],
        ['artifacts', 'x'],
        ['dead-letters'],
        ['rollback', 'x', '--preview'],
        ['audit', 'verify', '--all'],
        ['backup', 'all.backup'],
      ]) {
        const { exit, stderr } = vapora(project, ...args);
        expect(exit, `${args.join(' ')}: ${stderr}`).toBe(0);
      }
      expect(vapora(project, 'run', 'near', '--id', 'y').exit).toBe(0);
      // what only looks has changed nothing, and what runs something else has not either
      expect(typesOf(project)).toEqual(before);

      const approving = spawn(VAPORA, ['approve', 'x', 'gate', '--json'], { cwd: project.directory });
      let [said, warned] = ['', ''];
      approving.stderr.on('data', (chunk) => {
        warned += String(chunk);
      });
      approving.stdout.on('data', (chunk) => {
        said += String(chunk);
      });
      while (!said.includes('"approval_requested"')) await once(approving.stdout, 'data');
      approving.kill('SIGINT');
      expect(await once(approving, 'close')).toEqual([130, null]);
      expect(warned).toContain(
        'instance x, stage away, agent far-away: the agent, which is no part of this engine',
      );
      expect(typesOf(project)).not.toContain('task_interrupted');

      const again = await startServer(project.directory, {}, Number(new URL(project.server.url).port));
      writeFileSync(join(project.directory, 'go'), '');
      const rest = () => getJson(`${again.url}/api/v1/instances/x/rest?wait=20`);
      const { instance } = await until(rest, (answer) => answer.is_resting === true);
      const [away] = (instance as Shown).stages;
      expect(away?.tasks).toMatchObject([{ state: 'completed', attempt: 1, interruptions: 0 }]);
      expect(begun(project.directory)).toEqual(['1']);
    },
    PATIENCE_MS,
  );

  it(
    'a command that waits longer than its lease finds it lost, as a server would',
    async () => {
      const project = await killedAtWork(1);
      project.agent.kill('SIGKILL');
      const { exit, lines } = vapora(project, 'resume', 'x');
      expect(exit).toBe(3);
      expect(lines.at(-1)).toMatchObject({ type: 'result', state: 'blocked' });
      const { lines: shown } = vapora(project, 'show', 'x');
      const [away] = (shown[0] as unknown as Shown).stages;
      expect(away?.tasks).toMatchObject([{ attempt: 1, interruptions: 1 }]);
    },
    PATIENCE_MS,
  );
});
