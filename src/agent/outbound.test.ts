import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseConfig } from '../config/load.js';
import { type Address, Outbound, type Question } from './outbound.js';

const settingsOf = (hosts: readonly string[], networks: readonly string[] = []) =>
  parseConfig(
    `[engine.outbound]\nhosts = ${JSON.stringify(hosts)}\nnetworks = ${JSON.stringify(networks)}`,
    { file: '/nowhere/workflows.toml' },
    {},
  ).engine.outbound;

const questionOf = (url: string, more: Partial<Question> = {}): Question => ({
  url: new URL(url),
  method: 'GET',
  headers: {},
  body: null,
  signal: new AbortController().signal,
  timeoutMs: 10_000,
  maxAnswerBytes: 1_000,
  ...more,
});

/** Answers the port. */
async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const at =
  (...addresses: string[]) =>
  async (): Promise<Address[]> =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

describe('a destination', () => {
  const outbound = new Outbound(settingsOf(['api.example', '*.hooks.example:8443', '127.0.0.1', '[::1]']));
  it.each([
    ['http://api.example/x', true],
    ['https://API.example:9/x', true],
    ['https://a.b.hooks.example:8443/', true],
    ['https://a.hooks.example/', false],
    ['https://hooks.example:8443/', false],
    ['https://api.example.evil/', false],
    ['http://api.example@evil/', false],
    ['http://u:p@api.example/', false],
    ['ftp://api.example/', false],
    // listed, and private all the same
    ['http://127.0.0.1/', false],
    ['http://[::1]/', false],
    ['http://2130706433/', false],
  ])('%s may be called: %s', (url, isAllowed) => {
    const check = () => outbound.check(new URL(url));
    if (isAllowed) check();
    else expect(check).toThrow(expect.objectContaining({ code: 'destination_refused' }));
  });

  it.each([
    '10.0.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    'fe80::1',
    'fd00::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
  ])('whose name leads to %s is refused', async (address) => {
    const guard = new Outbound(settingsOf(['api.example']), { lookup: at(address) });
    const asked = guard.ask(questionOf('http://api.example/'));
    await expect(asked).rejects.toMatchObject({ code: 'destination_refused' });
  });

  it('is called at an address that was looked at, once: a name that leads elsewhere later changes nothing', async () => {
    const port = await listen((_, answer) => answer.end('here'));
    let lookups = 0;
    const lookup = async () => {
      lookups += 1;
      return at('10.9.9.9', '127.0.0.1')();
    };
    const guard = new Outbound(settingsOf(['api.example'], ['127.0.0.0/8']), { lookup });
    const reply = await guard.ask(questionOf(`http://api.example:${port}/`));
    expect([reply.status, reply.body.toString(), lookups]).toEqual([200, 'here', 1]);
  });
});

describe('a call', () => {
  const open = () => new Outbound(settingsOf(['127.0.0.1'], ['127.0.0.0/8']));

  it('does not follow redirects', async () => {
    const port = await listen((_, answer) => answer.writeHead(302, { location: 'http://10.0.0.1/' }).end());
    expect((await open().ask(questionOf(`http://127.0.0.1:${port}/`))).status).toBe(302);
  });

  it('ends with an answer that is too large, with its time, and when it is aborted', async () => {
    const port = await listen((request, answer) => {
      if (request.url === '/large') answer.end('x'.repeat(2_000));
    });
    const url = `http://127.0.0.1:${port}`;
    const large = open().ask(questionOf(`${url}/large`));
    await expect(large).rejects.toMatchObject({ code: 'agent_protocol' });
    const slow = open().ask(questionOf(url, { timeoutMs: 50 }));
    await expect(slow).rejects.toMatchObject({ code: 'agent_timeout' });
    const abort = new AbortController();
    const aborted = open().ask(questionOf(url, { signal: abort.signal }));
    abort.abort(new Error('stopped'));
    await expect(aborted).rejects.toThrow('stopped');
  });

  it('that reaches nobody fails, and may be tried again', async () => {
    const asked = open().ask(questionOf('http://127.0.0.1:1/'));
    await expect(asked).rejects.toMatchObject({ code: 'agent_failed', isRetryable: true });
  });
});

describe('the configuration', () => {
  const problemsOf = (text: string): string[] => {
    try {
      parseConfig(text, { file: '/nowhere/workflows.toml' }, {});
      return [];
    } catch (error) {
      return (error as { problems: { message: string }[] }).problems.map(({ message }) => message);
    }
  };

  it('refuses what is no host and no network', () => {
    expect(problemsOf('[engine.outbound]\nhosts = ["http://x", "a/b", ""]\nnetworks = ["10.0.0.0"]')).toEqual(
      [
        '`engine.outbound.hosts` names `http://x`, which is no host',
        '`engine.outbound.hosts` names `a/b`, which is no host',
        '`engine.outbound.hosts[2]` is empty',
        '`engine.outbound.networks` names `10.0.0.0`, which is no network',
      ],
    );
  });

  it('refuses an agent that calls whom it does not list, has no secret, or is two things at once', () => {
    const agent = (keys: string) => `[[agents]]\nname = "a"\nroles = ["r"]\n${keys}`;
    expect(problemsOf(agent('url = "https://x.example/hook"\nsecret_env = "S"'))).toEqual([
      'agent `a` calls `x.example`, which `engine.outbound.hosts` does not list',
    ]);
    const listed = '[engine.outbound]\nhosts = ["x.example"]\n';
    expect(problemsOf(listed + agent('url = "https://x.example/hook"'))).toEqual([
      'agent `a` has a `url` and no `secret_env`',
    ]);
    expect(problemsOf(agent('url = "https://u:p@x.example/"\nsecret_env = "S"'))).toEqual([
      'agent `a` has a `url` that can not be called',
    ]);
    expect(problemsOf(agent('command = ["x"]\nsecret_env = "S"'))).toEqual([
      'agent `a` has a `command`, for which `secret_env` means nothing',
    ]);
    expect(problemsOf(agent(''))).toEqual(['agent `a` has neither `command` nor `url` nor `model`']);
    expect(problemsOf(agent('command = ["x"]\nurl = "https://x.example/"'))).toEqual([
      'agent `a` has both `command` and `url`',
    ]);
  });
});
