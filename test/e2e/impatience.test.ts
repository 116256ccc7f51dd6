/** Whoever interrupts twice does not wait for agents that will not end: they end all the same. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CliPipeline } from './cli-pipeline.js';

const STUBBORN = `
[[workflows]]
name = "stubborn"
stages = [{ name = "a", agents = ["deaf"] }]
[[agents]]
name = "deaf"
roles = ["deaf"]
command = ["sh", "-c", "trap '' TERM INT; sleep 600 & echo $$ $! > pids.new; mv pids.new pids; wait; sleep 600"]
`;

const cli = new CliPipeline();
afterAll(() => cli.close());

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // a zombie that nobody has waited for yet is dead
  const state = `/proc/${pid}/stat`;
  return !(existsSync(state) && /^\d+ \(.*\) Z/.test(readFileSync(state, 'utf8')));
}

it('a second interrupt ends the program at once and leaves no process behind', async () => {
  cli.write('workflows.toml', STUBBORN);
  const child = cli.start('run', 'stubborn', '--id', 'x', '--json');
  const file = join(cli.directory, 'pids');
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  await expect.poll(() => existsSync(file), { timeout: 20_000 }).toBe(true);
  const pids = readFileSync(file, 'utf8').trim().split(' ').map(Number);
  expect(pids.map(isAlive)).toEqual([true, true]);
  child.kill('SIGINT');
  await expect.poll(() => stderr, { timeout: 20_000 }).toContain('interrupted');
  child.kill('SIGINT');
  const [exit] = await once(child, 'close');
  expect(exit).toBe(130);
  await expect.poll(() => pids.map(isAlive), { timeout: 2_000 }).toEqual([false, false]);
  const shown = cli.run('show', 'x', '--json').json()[0];
  expect(shown).toMatchObject({ state: 'active', stages: [{ state: 'running' }] });
});
