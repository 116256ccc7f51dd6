/** A pipeline whose agent is a language model, over a local server that speaks the protocol: what it costs is kept, and bounded. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { openEngine } from '../compose.js';
import { parseConfig } from '../config/load.js';

const ANN = { user: 'ann', groups: [] };

it('hands its answer on, says what it has used, and stops where the budget is used up', async () => {
  const prompts: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += String(part);
    const [{ content }] = (JSON.parse(text) as { messages: [{ content: string }] }).messages;
    prompts.push(content);
    const message = { role: 'assistant', content: `answer ${prompts.length}` };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    const usage = { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100 };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices, usage }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const text = `
[engine]
store = "mem://"
[engine.outbound]
hosts = ["127.0.0.1"]
networks = ["127.0.0.0/8"]
[[workflows]]
name = "write"
budget = { usd = 0.004 }
stages = [{ name = "draft", agents = ["writer"] }, { name = "polish", agents = ["editor"] }, { name = "again", agents = ["editor"] }]
[[agents]]
name = "writer"
roles = ["writer"]
model = "tiny"
base_url = "http://127.0.0.1:${(server.address() as AddressInfo).port}/v1"
prompt = "Write about {{input.topic}}"
artifact = "draft"
price = { input = 2, output = 10 }
[[agents]]
name = "editor"
roles = ["editor"]
model = "tiny"
base_url = "http://127.0.0.1:${(server.address() as AddressInfo).port}/v1"
prompt = "Polish: {{artifact.draft}}"
price = { input = 2, output = 10 }
`;
  const config = parseConfig(text, { file: '/nowhere/workflows.toml' }, {});
  const engine = await openEngine(config, { logger: pino({ level: 'silent' }) });
  onTestFinished(async () => {
    await engine.close();
    server.closeAllConnections();
    server.close();
  });
  await engine.api.start({ workflow: 'write', id: 'w', initiator: ANN, input: { topic: 'tea' } });
  const blocked = await engine.api.untilRest('w');
  expect(prompts).toEqual(['Write about tea', 'Polish: answer 1']);
  expect(blocked.stages.map(({ block, spent }) => [block?.code, spent.tokens, spent.microUsd])).toEqual([
    [undefined, 1_100, 3_000],
    [undefined, 1_100, 3_000],
    ['budget_exceeded', 0, 0],
  ]);
  await engine.api.resume('w', ANN);
  expect((await engine.api.untilRest('w')).status).toBe('completed');
});
