/** Every command against a server, found by itself through the store's lock. */
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeCommands } from './cli.suite.js';
import { CliPipeline } from './cli-pipeline.js';

let cli: CliPipeline;
let server: Awaited<ReturnType<CliPipeline['serve']>>;
beforeAll(async () => {
  cli = new CliPipeline();
  server = await cli.serve();
});
afterAll(() => cli.close());

describeCommands(() => cli);

it('`--server` needs no configuration, and says so where nobody answers', () => {
  const elsewhere = { cwd: '/' };
  const listed = cli.runWith(elsewhere, 'list', '--server', server.url, '--limit', '1', '--json');
  expect(listed.exit, listed.stderr).toBe(0);
  const env = { VAPORA_SERVER: server.url };
  expect(cli.runWith({ ...elsewhere, env }, 'show', 'good-1').stdout).toContain('good-1');
  const bad = cli.runWith(elsewhere, 'list', '--server', 'ftp://x');
  expect([bad.exit, bad.stderr.split('\n')[0]]).toEqual([
    2,
    'error[usage]: `--server` is not the URL of a server',
  ]);
  const policies = cli.runWith(elsewhere, 'policy', 'check', '--server', server.url, '--json');
  expect(policies.json()[0]).toMatchObject({ policies: [{ id: 'all' }, { id: 'no-forbidden-stage' }, {}] });
});

it('doctor asks the server that holds the store', () => {
  const ran = cli.run('doctor', '--json');
  expect(ran.exit, ran.stdout).toBe(0);
  const text = expect.stringContaining(`held by the server ${server.url}, which answers`);
  expect(ran.json()[0]?.findings).toContainEqual({ subject: 'store', level: 'ok', text });
});

it('an interrupted command leaves the instance to the server', async () => {
  const child = cli.start('run', 'slow', '--id', 'slow-1', '--input', '{"ms": 60000}', '--json');
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  while (!stdout.includes('"stage":"b","role":"slow"')) await once(child.stdout, 'data');
  child.kill('SIGINT');
  const [exit] = await once(child, 'close');
  expect(exit).toBe(130);
  expect(stderr).toBe(
    'interrupted: the server goes on with it; `vapora history slow-1 --follow` shows how\n',
  );
  const [shown] = cli.run('show', 'slow-1', '--json').json();
  expect(shown).toMatchObject({ state: 'active' });
  expect(cli.run('cancel', 'slow-1').exit).toBe(0);
});

it('SIGTERM ends it with 0, and the next command opens the store itself', async () => {
  server.child.kill('SIGTERM');
  const [exit] = await once(server.child, 'close');
  expect(exit).toBe(0);
  expect(cli.run('show', 'good-1').exit).toBe(0);
});
