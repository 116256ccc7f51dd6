import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../store/surreal/server.suite.js';
import { fakeHost } from './host.suite.js';
import { execute } from './main.js';

const PASSWORD = 'open-5esame';

let server: TestServer;
let cwd: string;
beforeAll(async () => {
  server = await startTestServer({ password: PASSWORD });
  cwd = await mkdtemp(join(tmpdir(), 'vapora-server-'));
  // the agent's artifact is its whole environment
  await writeFile(
    join(cwd, 'agent.mjs'),
    `console.log(JSON.stringify({ artifacts: [{ name: 'env', kind: 'code', content: JSON.stringify(process.env) }] }));`,
  );
  await writeFile(
    join(cwd, 'workflows.toml'),
    `[engine]
store = "${server.url('ws')}/team/app"
[[workflows]]
name = "release"
stages = [{ name = "build", agents = ["builder"] }]
[[agents]]
name = "b1"
roles = ["builder"]
command = ["${process.execPath}", "agent.mjs"]
`,
  );
});
afterAll(async () => {
  await server.stop();
  await rm(cwd, { recursive: true, force: true });
});

async function vapora(...argv: string[]) {
  const env = { PATH: process.env.PATH, VAPORA_STORE_USER: 'root', VAPORA_STORE_PASSWORD: PASSWORD };
  const host = fakeHost({ cwd, env: { ...env, VAPORA_LOG: 'debug' } });
  const exit = await execute(argv, host);
  return { exit, said: host.out.join('') + host.err.join('') };
}

describe('the command line with a store on a server', () => {
  it('works as with any other, and never says the password', async () => {
    const runs = [
      await vapora('run', 'release', '--id', 'r1'),
      await vapora('show', 'r1'),
      await vapora('artifacts', 'r1', 'env'),
      await vapora('audit', 'verify', 'r1'),
      await vapora('list', '--json'),
      await vapora('doctor'),
    ];
    for (const { exit, said } of runs) {
      expect(exit, said).toBe(0);
      expect(said).not.toContain('5esame');
    }
    expect(runs[2]?.said).toContain('VAPORA_IDEMPOTENCY_KEY');
  }, 60_000);

  it('exits 5 where the server is not there', async () => {
    await server.stop();
    const { exit, said } = await vapora('list');
    expect(exit).toBe(5);
    expect(said).toContain('error[store_unreadable]');
    expect(said).toContain('check that the server runs');
    expect(said).not.toContain('5esame');
  });
});
