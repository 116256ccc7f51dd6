/** Triggers of a real server: schedules over a kill, webhooks with good, bad and repeated signatures, chains. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { sign } from '../../src/auth/signature.js';
import { VAPORA } from './cli-pipeline.js';
import { getJson, makeProject, startServer, until } from './server.js';

const STAGES = 'stages = [{ name = "a", agents = ["ok"] }]';

interface Item {
  readonly workflow_id: string;
  readonly workflow: string;
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

async function itemsOf(url: string): Promise<readonly Item[]> {
  return (await getJson(`${url}/api/v1/instances?limit=200`)).instances as readonly Item[];
}

it('a schedule survives a kill: each of its times starts one instance', { timeout: 60_000 }, async () => {
  const directory = makeProject(`
[[workflows]]
name = "tick"
trigger = "schedule"
schedule = { cron = "* * * * * *", overlap = "allow", catch_up = "all" }
${STAGES}
`);
  const times = async (url: string) =>
    (await itemsOf(url))
      .map(({ labels }) => Date.parse(labels.scheduled ?? '') / 1_000)
      .sort((a, b) => a - b);
  const first = await startServer(directory);
  const before = await until(
    () => times(first.url),
    (found) => found.length >= 2,
  );
  await first.end('SIGKILL');
  const killedAt = Math.ceil(Date.now() / 1_000);
  await until(
    async () => Date.now() / 1_000,
    (now) => now > killedAt + 3,
  );
  const second = await startServer(directory);
  const after = await until(
    () => times(second.url),
    (found) => (found.at(-1) ?? 0) > killedAt + 3,
  );
  expect(await second.end()).toBe(0);
  const [start = 0] = before;
  // one for each second, those while it was down included
  expect(after).toEqual(after.map((_, index) => start + index));
  expect(after.slice(0, before.length)).toEqual(before);
  const listed = spawnSync(process.execPath, [VAPORA, 'schedules', '--json'], {
    cwd: directory,
    encoding: 'utf8',
  });
  expect(JSON.parse(listed.stdout).schedules).toMatchObject([
    { workflow: 'tick', last: { outcome: 'started' } },
  ]);
});

it('a webhook starts what is signed, once, and what ends starts what waits for it', {
  timeout: 60_000,
}, async () => {
  const directory = makeProject(`
[[workflows]]
name = "release"
trigger = "webhook"
webhook = { secret_env = "HOOK_SECRET", input = { tag = "/tag" }, match = { "/action" = "published" } }
${STAGES}
[[workflows]]
name = "announce"
trigger = "workflow"
after = { workflow = "release" }
${STAGES}
`);
  const secret = 'a secret for this test';
  await expect(startServer(directory)).rejects.toThrow('HOOK_SECRET');
  const { url, log, end } = await startServer(directory, { HOOK_SECRET: secret, VAPORA_LOG: 'info' });
  const deliver = async (
    id: string,
    body: object,
    more: { secret?: string; now?: number; path?: string } = {},
  ) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const headers = {
      'content-type': 'application/json',
      ...sign(more.secret ?? secret, id, more.now ?? Date.now(), bytes),
    };
    const answer = await fetch(`${url}/api/v1/hooks/${more.path ?? 'release'}`, {
      method: 'POST',
      headers,
      body: bytes,
    });
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
  };
  const body = { action: 'published', tag: 'v1' };
  const refused = { status: 401, json: { code: 'signature_invalid' } };
  expect(await deliver('d1', body, { secret: 'another secret' })).toMatchObject(refused);
  expect(await deliver('d1', body, { now: Date.now() - 3_600_000 })).toMatchObject(refused);
  expect(await deliver('d1', body, { path: 'announce' })).toMatchObject(refused);
  expect(await deliver('d1', { action: 'published' })).toMatchObject({ status: 400 });
  expect(await deliver('d0', { action: 'edited' })).toEqual({
    status: 202,
    json: { workflow_id: null, is_new: false },
  });
  expect(await itemsOf(url)).toEqual([]);

  const started = await deliver('d1', body);
  expect(started).toMatchObject({ status: 202, json: { is_new: true } });
  const id = String(started.json.workflow_id);
  expect(await deliver('d1', body)).toEqual({ status: 202, json: { workflow_id: id, is_new: false } });
  expect(await deliver('d1', { ...body, tag: 'v2' })).toMatchObject({ status: 409 });

  const items = await until(
    () => itemsOf(url),
    (found) => found.length === 2 && found.every(({ state }) => state === 'completed'),
  );
  expect(items.find(({ workflow }) => workflow === 'release')).toMatchObject({
    workflow_id: id,
    labels: { delivery: 'd1' },
  });
  expect(items.find(({ workflow }) => workflow === 'announce')).toMatchObject({
    labels: { after: id },
    initiator: 'webhook:release',
  });
  expect(await end()).toBe(0);
  expect(log()).not.toContain(secret);
});
