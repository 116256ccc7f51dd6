/** Model agents against a local server that speaks the protocol of OpenAI. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isModelAgent } from '../config/agents.js';
import { parseConfig } from '../config/load.js';
import type { TaskOutcome } from '../core/ports.js';
import { blobs, inputArtifact, orderOf } from '../transport/attempt.suite.js';
import type { AttemptVoice } from '../transport/runner.js';
import { DEFAULT_LIMITS } from './limits.js';
import { createModelRunner } from './model.js';
import { Outbound } from './outbound.js';

type Json = Record<string, unknown>;
interface Asked {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Json;
}

const answer = (content: string, more: Json = {}): Json => ({
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'tiny',
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop', ...more }],
  usage: { prompt_tokens: 120, completion_tokens: 30, total_tokens: 150 },
});

async function service(reply: (asked: Asked) => readonly [number, unknown]) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += String(part);
    const one = { path: String(request.url), headers: request.headers, body: JSON.parse(text) as Json };
    asked.push(one);
    const [status, body] = reply(one);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked };
}

const KEY = 'sk-a-secret-of-the-test';

function runnerConfig(keys: string, url = 'http://127.0.0.1:9/v1') {
  const text = `
[engine.outbound]
hosts = ["127.0.0.1"]
networks = ["127.0.0.0/8"]
[[agents]]
name = "writer"
roles = ["write"]
model = "tiny"
base_url = "${url}"
api_key_env = "KEY"
price = { input = 2, output = 10 }
${keys}
`;
  const config = parseConfig(text, { file: '/nowhere/workflows.toml' }, {});
  const [agent] = config.agents;
  if (agent === undefined || !isModelAgent(agent)) throw new Error('there is a model');
  return { agent, outbound: config.engine.outbound };
}

function runnerOf(url: string, keys = 'prompt = "Say hello"') {
  const { agent, outbound } = runnerConfig(keys, url);
  return createModelRunner(agent, { outbound: new Outbound(outbound), limits: DEFAULT_LIMITS, env: { KEY } });
}

const voice: AttemptVoice = {
  heartbeat: () => undefined,
  progress: () => undefined,
  step: async () => undefined,
  blob: async ({ digest }) => blobs.get(digest) ?? new Uint8Array(),
  keep: async () => ({ digest: '' as never, size: 0 }),
  whenEnded: async () => true,
};

type Runner = ReturnType<typeof runnerOf>;
const run = (runner: Runner, order = orderOf(), abort = new AbortController()): Promise<TaskOutcome> =>
  runner.run(order, voice, abort);

function textOf(outcome: TaskOutcome): string {
  if (outcome.status !== 'completed') throw new Error(JSON.stringify(outcome));
  const [artifact] = outcome.artifacts;
  return Buffer.from(artifact?.content as Uint8Array).toString('utf8');
}

const USAGE = { model: 'tiny', inputTokens: 120, outputTokens: 30, microUsd: 540 };

describe('a model', () => {
  it('is asked with the task in its prompt, and its answer is the artifact; what it used is counted', async () => {
    const { url, asked } = await service(() => [200, answer('# Review\nfine')]);
    const runner = runnerOf(
      url,
      `system = "You review."
prompt = '''{{workflow}}/{{stage}} by {{initiator}} as {{role}} {{label.env}}:
{{input.version}} {{ input }} {{artifact.diff}} {{artifacts}}'''
artifact = "review"
kind = "review"
max_output_tokens = 500
temperature = 0.5`,
    );
    const artifacts = [
      inputArtifact('diff', 'old'),
      inputArtifact('diff', '{{stage}} new'),
      inputArtifact('plan', 'x'.repeat(5_000)),
    ];
    const outcome = await run(runner, orderOf({ artifacts, labels: { env: 'prod' }, initiator: 'ann' }));
    expect(textOf(outcome)).toBe('# Review\nfine');
    expect(outcome).toMatchObject({ artifacts: [{ name: 'review', kind: 'review' }], usage: USAGE });
    const [call] = asked;
    expect(call?.path).toBe('/v1/chat/completions');
    expect(call?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(call?.body).toMatchObject({ model: 'tiny', max_tokens: 500, temperature: 0.5 });
    const [system, user] = (call?.body.messages ?? []) as { content: string }[];
    expect(system?.content).toBe('You review.');
    const prompt = JSON.stringify(user?.content);
    expect(prompt).toContain('release/deploy by ann as deployer prod:');
    // what comes in is not looked at again
    expect(prompt).toContain('{{stage}} new');
    expect(prompt).toContain('1.2');
    expect(prompt).toContain('x'.repeat(5_000));
  });

  it('follows a schema: the answer is JSON, and one that is not as it says may come right another time', async () => {
    const contents = ['{"ok":true,"score":3}', '{"ok":"yes"}', 'no JSON'];
    const { url, asked } = await service(() => [200, answer(contents.shift() ?? '')]);
    const runner = runnerOf(
      url,
      `prompt = "Judge"
schema = { type = "object", properties = { ok = { type = "boolean" }, score = { type = "integer" } }, required = ["ok", "score"], additionalProperties = false }`,
    );
    expect(JSON.parse(textOf(await run(runner)))).toEqual({ ok: true, score: 3 });
    expect(asked[0]?.body.response_format).toMatchObject({ type: 'json_schema' });
    for (const _ of contents) {
      expect(await run(runner)).toMatchObject({
        status: 'failed',
        isRetryable: true,
        usage: USAGE,
        error: {
          code: 'agent_failed',
          message: 'agent `writer` gave an answer that does not follow its `schema`',
        },
      });
    }
  });

  it.each([
    [429, true, 'agent_failed'],
    [503, true, 'agent_failed'],
    [401, false, 'task_failed'],
    [400, false, 'task_failed'],
    [302, false, 'task_failed'],
  ] as const)(
    'that answers %d may be asked again: %s; the key is in no message',
    async (status, isRetryable, code) => {
      const { url, asked } = await service(() => [status, { error: { message: `bad key ${KEY}` } }]);
      const outcome = await run(runnerOf(url));
      expect(outcome).toMatchObject({ status: 'failed', isRetryable, error: { code } });
      expect(JSON.stringify(outcome)).not.toContain(KEY);
      expect(asked).toHaveLength(1);
    },
  );

  it('whose answer is cut off or filtered has failed for good, and is paid for', async () => {
    const reasons = ['length', 'content_filter'];
    const { url } = await service(() => [200, answer('half', { finish_reason: reasons.shift() })]);
    for (const words of ['was cut off', 'was stopped by a filter']) {
      const outcome = await run(runnerOf(url));
      expect(outcome).toMatchObject({ status: 'failed', isRetryable: false, usage: USAGE });
      expect(JSON.stringify(outcome)).toContain(words);
    }
  });

  it('that was cut off in the middle of JSON has no answer either', async () => {
    const { url } = await service(() => [200, answer('{"ok":', { finish_reason: 'length' })]);
    const outcome = await run(runnerOf(url, 'prompt = "Judge"\nschema = { type = "object" }'));
    expect(outcome).toMatchObject({ status: 'failed', isRetryable: false, usage: USAGE });
  });

  it('needs its key, and a schema that is one', () => {
    const config = runnerConfig('prompt = "x"');
    const outbound = new Outbound(config.outbound);
    const open = (env: NodeJS.ProcessEnv, schema: object | null = null) =>
      createModelRunner(
        { ...config.agent, schema: schema as never },
        { outbound, limits: DEFAULT_LIMITS, env },
      );
    expect(() => open({})).toThrow('environment variable `KEY`, the key of agent `writer`, is not set');
    expect(() => open({ KEY }, { type: 'no-such-type' })).toThrow(
      'the `schema` of agent `writer` can not be used',
    );
  });

  it('can not be asked for what is not there, nor to take anything back', async () => {
    const { url, asked } = await service(() => [200, answer('never')]);
    const outcomes = await Promise.all([
      run(runnerOf(url, 'prompt = "{{artifact.none}}"')),
      run(runnerOf(url, 'prompt = "{{input.no.such}}"')),
      run(
        runnerOf(url, 'prompt = "{{artifacts}}"'),
        orderOf({ artifacts: [inputArtifact('b', new Uint8Array([255]))] }),
      ),
      run(runnerOf(url), orderOf({ type: 'compensation' })),
    ]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'failed', isRetryable: false, error: { code: 'task_failed' } });
    }
    expect(asked).toEqual([]);
  });

  it('that does not answer in time is not waited for, nor one whose attempt is stopped', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const slow = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`;
    const late = await run(runnerOf(slow, 'prompt = "x"\ntimeout = 0.2'));
    expect(late).toMatchObject({ status: 'failed', isRetryable: true, error: { code: 'agent_timeout' } });
    const abort = new AbortController();
    const stopped = run(runnerOf(slow), orderOf(), abort);
    abort.abort(new Error('stopped'));
    expect(await stopped).toMatchObject({ status: 'failed' });
  });
});

describe('the configuration of a model', () => {
  const problemsOf = (keys: string): string[] => {
    const text = `[engine.outbound]\nhosts = ["m.example"]\n[[agents]]\nname = "a"\nroles = ["r"]\n${keys}`;
    try {
      parseConfig(text, { file: '/nowhere/workflows.toml' }, {});
      return [];
    } catch (error) {
      return (error as { problems: { message: string }[] }).problems.map(({ message }) => message);
    }
  };

  it.each([
    ['model = "m"', ['agent `a` has a `model` and no `base_url`', 'agent `a` has a `model` and no `prompt`']],
    [
      'model = "m"\nbase_url = "https://m.example/v1"\nprompt = "{{inptu}}"',
      ['agent `a` has `{{inptu}}` in its `prompt`'],
    ],
    [
      'model = "m"\nbase_url = "https://x.example/v1"\nprompt = "x"',
      ['agent `a` calls `x.example`, which `engine.outbound.hosts` does not list'],
    ],
    [
      'model = "m"\nbase_url = "https://m.example/v1"\nprompt = "x"\napi_key_env = "sk-1"',
      ['agent `a` has a `api_key_env` that is no name of a variable'],
    ],
    [
      'model = "m"\nbase_url = "https://m.example/v1"\nprompt = "x"\nsecret_env = "S"',
      ['agent `a` has a `model`, for which `secret_env` means nothing'],
    ],
    [
      'model = "m"\nbase_url = "https://m.example/v1"\nprompt = "{{input}} {{input.a.b}} {{artifact.x.y}}"',
      [],
    ],
  ] as const)('%j', (keys, problems) => {
    expect(problemsOf(keys)).toEqual(problems);
  });
});
