/** One id, one instance: of starts and retries at the same time, and of a retry beside an instance that has the next version's id. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { defineWorkflow, type Engine, openEngine, PermanentError, parseConfig } from '../../src/index.js';

const ann = { user: 'ann', groups: [] };
let engine: Engine;
let isBroken: boolean;

beforeEach(async () => {
  isBroken = true;
  const config = parseConfig(
    '[engine]\nstore = "mem://"',
    { file: 'workflows.toml' },
    { VAPORA_LOG: 'silent' },
  );
  engine = await openEngine(config, {
    workflows: [defineWorkflow({ name: 'release', stages: [{ name: 'deploy', agents: ['deployer'] }] })],
    agents: [
      {
        name: 'deployer',
        roles: ['deployer'],
        execute() {
          if (isBroken) throw new PermanentError('the package is broken');
          return {};
        },
      },
    ],
  });
});
afterEach(() => engine.close());

async function run(id: string): Promise<string> {
  await engine.api.start({ workflow: 'release', id, initiator: ann });
  return (await engine.api.untilRest(id)).status;
}

it('does not take the next version for the retry', async () => {
  expect(await run('release-1.1.0')).toBe('failed');
  isBroken = false;
  expect(await run('release-1.1.1')).toBe('completed');
  const retry = await engine.api.retry('release-1.1.0', ann);
  expect(retry).toMatchObject({ id: 'release-1.1.0.retry-1', retryOf: 'release-1.1.0' });
  expect((await engine.api.untilRest(retry.id)).status).toBe('completed');
});

it('is one retry however often it is asked for, and counts on when that fails too', async () => {
  await run('a');
  const retries = await Promise.all([engine.api.retry('a', ann), engine.api.retry('a', ann)]);
  expect(retries.map(({ id }) => id)).toEqual(['a.retry-1', 'a.retry-1']);
  expect((await engine.api.untilRest('a.retry-1')).status).toBe('failed');
  expect((await engine.api.retry('a', ann)).id).toBe('a.retry-1');
  expect((await engine.api.retry('a.retry-1', ann)).id).toBe('a.retry-2');
});

it('starts once what is asked for twice at the same time', async () => {
  const start = () => engine.api.start({ workflow: 'release', id: 'a', initiator: ann });
  const starts = await Promise.all([start(), start(), start()]);
  expect(starts.map(({ isNew }) => isNew)).toEqual([true, false, false]);
  expect((await engine.api.untilRest('a')).stages[0]?.tasks[0]?.attempt).toBe(1);
});

it('refuses where somebody took its id', async () => {
  await run('a');
  await run('a.retry-1');
  await expect(engine.api.retry('a', ann)).rejects.toMatchObject({ code: 'instance_exists' });
});

it('keeps to the length that an id may have', async () => {
  const id = 'x'.repeat(128);
  await run(id);
  expect((await engine.api.retry(id, ann)).id).toHaveLength(128);
});
