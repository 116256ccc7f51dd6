/** `vapora serve` as a process of its own, on a port that is free. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { VAPORA } from './cli-pipeline.js';

export interface Running {
  readonly url: string;
  readonly child: ChildProcessWithoutNullStreams;
  /** What it wrote on stderr so far. */
  log(): string;
  /** Ends it as `signal` does; answers its exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/** An agent that does what its role says. */
const AGENT = `
let text = '';
for await (const chunk of process.stdin) text += chunk;
const task = JSON.parse(text);
if (task.role === 'fail') process.exit(1);
console.log(JSON.stringify({ output: { traceparent: process.env.TRACEPARENT ?? null } }));
`;

/** A directory with `workflows.toml`: what is given, and an agent for `ok`, `undo` and `fail`. */
export function makeProject(config: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'vapora-server-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'agent.mjs'), AGENT);
  writeFileSync(
    join(directory, 'workflows.toml'),
    `${config}\n[[agents]]\nname = "worker"\nroles = ["ok", "undo", "fail"]\nmax_concurrent = 4\ncommand = ["node", "agent.mjs"]\n`,
  );
  return directory;
}

/** `port` 0: one that is free. */
export async function startServer(
  directory: string,
  env: Record<string, string> = {},
  port = 0,
): Promise<Running> {
  const child = spawn(process.execPath, [VAPORA, 'serve', '--port', String(port), '--json'], {
    cwd: directory,
    env: { ...process.env, ...env },
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => {
    child.on('exit', (code) => resolve(code));
  });
  const end = (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return exited;
  };
  onTestFinished(async () => {
    await end('SIGKILL');
  });
  const url = await new Promise<string>((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const found = /"url":"([^"]+)"/.exec(out)?.[1];
      if (found !== undefined) resolve(found);
    });
    void exited.then((code) => reject(new Error(`the server ended with ${code}: ${log}`)));
  });
  return { url, child, log: () => log, end };
}

export async function getJson(url: string): Promise<Record<string, unknown>> {
  const answer = await fetch(url);
  return (await answer.json()) as Record<string, unknown>;
}

/** Asks again until the answer will do; the test's own time limit is the limit. */
export async function until<T>(ask: () => Promise<T>, isDone: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
