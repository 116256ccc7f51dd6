/** A budget that all instances of a workflow share, of a real server: kept over a kill, told by the API, a metric and `vapora show`. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { VAPORA } from './cli-pipeline.js';
import { getJson, makeProject, startServer, until } from './server.js';

/** 100 tokens and a quarter of a dollar an attempt. */
const MODEL = `
let text = '';
for await (const chunk of process.stdin) text += chunk;
console.log(JSON.stringify({ usage: { model: 'm', input_tokens: 90, output_tokens: 10, usd: 0.25 } }));
`;

const CONFIG = `
[[workflows]]
name = "write"
shared_budget = { per = "month", tokens = 250, usd = 100 }
stages = [{ name = "draft", agents = ["model"] }]

[[agents]]
name = "model"
roles = ["model"]
command = ["node", "model.mjs"]
`;

async function start(url: string, id: string): Promise<string> {
  const answer = await fetch(`${url}/api/v1/instances`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': id },
    body: JSON.stringify({ workflow: 'write', id }),
  });
  expect(answer.status).toBe(201);
  const stateOf = async () => (await getJson(`${url}/api/v1/instances/${id}`)).state as string;
  return until(stateOf, (state) => state === 'completed' || state === 'blocked');
}

it('counts what was used before a kill, and blocks every further instance until somebody grants more', {
  timeout: 60_000,
}, async () => {
  const directory = makeProject(CONFIG);
  writeFileSync(join(directory, 'model.mjs'), MODEL);
  const first = await startServer(directory);
  expect([await start(first.url, 'one'), await start(first.url, 'two')]).toEqual(['completed', 'completed']);
  await first.end('SIGKILL');

  const { url, end } = await startServer(directory);
  const sharedOf = async () =>
    ((await getJson(`${url}/api/v1/templates/write`)).shared_budget ?? {}) as Record<string, unknown>;
  expect(await sharedOf()).toMatchObject({
    per: 'month',
    tokens: 250,
    spent: { tokens: 200, micro_usd: 500_000 },
  });
  // below its limit: what is over it is the attempt's own
  expect(await start(url, 'three')).toBe('completed');
  expect(await start(url, 'four')).toBe('blocked');
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('vapora_shared_budget_used_ratio{workflow="write"} 1.2');
  expect(metrics).toContain('vapora_model_tokens_total{workflow="write"} 100');
  const vapora = (...args: string[]) =>
    spawnSync(process.execPath, [VAPORA, ...args], { cwd: directory, encoding: 'utf8' });
  const { until_at } = await sharedOf();
  expect(vapora('show', 'four').stdout).toContain(
    `in this month the instances of \`write\` have used 300 tokens of 250 tokens, until `,
  );
  const [stage] = JSON.parse(vapora('show', 'four', '--json').stdout).stages;
  expect(stage.block).toMatchObject({ code: 'budget_exceeded', lifts_at: until_at });

  expect(vapora('resume', 'four').status).toBe(0);
  // the grant was to that instance, and to no other
  expect(await start(url, 'five')).toBe('blocked');
  // who asks for more later finds it in the configuration: for new instances
  const config = readFileSync(join(directory, 'workflows.toml'), 'utf8');
  writeFileSync(join(directory, 'workflows.toml'), config.replace('tokens = 250', 'tokens = 1000'));
  await until(sharedOf, (shared) => shared.tokens === 1_000);
  expect(await start(url, 'six')).toBe('completed');
  expect(await end()).toBe(0);
});
