/** A server as its users and its operator meet it: real processes, signals and kills. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Notice } from '../../src/core/api.js';
import { systemClock } from '../../src/engine/clock.js';
import { HttpWorkflowClient } from '../../src/http/client.js';
import { CliPipeline, lastOf } from './cli-pipeline.js';
import { getJson, until } from './server.js';

let cli: CliPipeline;
beforeEach(() => {
  cli = new CliPipeline();
});
afterEach(() => cli.close());

const TOM = { user: 'tom', groups: [] };

/** Appends to the configuration. */
function configure(more: string): void {
  cli.write('workflows.toml', `${readFileSync(join(cli.directory, 'workflows.toml'), 'utf8')}\n${more}`);
}

describe('who may call', () => {
  it('is who shows a token: not nobody, not one that has been revoked, not one that a policy forbids', async () => {
    configure('[server.auth]\n');
    const ann = cli.run('token', 'create', '--user', 'ann', '--json').json()[0];
    const mallory = cli.run('token', 'create', '--user', 'mallory').stdout.trim();
    const { url } = await cli.serve();
    const as = (token: unknown) => ({ env: { VAPORA_TOKEN: String(token) } });
    const nobody = cli.run('list', '--json');
    expect([nobody.exit, lastOf(nobody).code]).toEqual([3, 'unauthenticated']);
    const ran = cli.runWith(as(ann?.token), 'run', 'gate', '--id', 'g1', '--json');
    expect([ran.exit, lastOf(ran).state]).toEqual([4, 'waiting_approval']);
    const [shown] = cli.runWith(as(ann?.token), 'show', 'g1', '--json').json();
    expect(shown?.initiator).toEqual({ user: 'ann', groups: [] });
    const denied = cli.runWith(as(mallory), 'approve', 'g1', 'b', '--json');
    expect([denied.exit, lastOf(denied).message]).toEqual([
      3,
      '`approve-stage` is denied: forbidden by `mallory-approves-nothing`',
    ]);
    const claimed = cli.runWith(as(ann?.token), 'approve', 'g1', 'b', '--by', 'olga', '--json');
    expect([claimed.exit, lastOf(claimed).code]).toEqual([2, 'usage']);
    expect(cli.runWith(as(ann?.token), 'token', 'revoke', String(ann?.id)).exit).toBe(0);
    const revoked = cli.runWith(as(ann?.token), 'list', '--json');
    expect([revoked.exit, lastOf(revoked).message]).toEqual([3, 'the token is revoked']);
    expect((await getJson(`${url}/health`)).authentication).toBe('on');
  });

  it('is looked at again while a command follows: one whose token is revoked ends, and says why', async () => {
    configure('[server.auth]\n');
    const [ann] = cli.run('token', 'create', '--user', 'ann', '--json').json();
    const root = { VAPORA_TOKEN: cli.run('token', 'create', '--user', 'root').stdout.trim() };
    await cli.serve();
    cli.env.VAPORA_TOKEN = String(ann?.token);
    const running = cli.start('run', 'slow', '--id', 'slow-1', '--input', '{"ms": 60000}', '--json');
    let text = '';
    running.stdout.on('data', (chunk) => {
      text += String(chunk);
    });
    await until(
      async () => text,
      (told) => told.includes('"stage":"b","role":"slow"'),
    );
    const history = cli.start('history', 'slow-1', '--follow', '--json');
    let past = '';
    history.stdout.on('data', (chunk) => {
      past += String(chunk);
    });
    await until(
      async () => past,
      (told) => told.includes('"stage":"b"'),
    );
    const ends = [running, history].map((child) => once(child, 'close'));
    expect(cli.runWith({ env: root }, 'token', 'revoke', String(ann?.id)).exit).toBe(0);
    expect((await Promise.all(ends)).map(([exit]) => exit)).toEqual([3, 3]);
    for (const said of [text, past]) expect(said).toContain('"code":"unauthenticated"');
    expect(cli.runWith({ env: root }, 'cancel', 'slow-1').exit).toBe(0);
  });

  it('must be known where other machines can reach the server, or it is said aloud that it is not', async () => {
    const refused = cli.run('serve', '--host', '0.0.0.0', '--port', '0', '--json');
    expect([refused.exit, lastOf(refused).code]).toEqual([2, 'usage']);
    const { url } = await cli.serve('--host', '0.0.0.0', '--insecure');
    const { port } = new URL(url);
    const { warnings } = await getJson(`http://127.0.0.1:${port}/health`);
    expect(warnings).toEqual([expect.stringContaining('--insecure')]);
  });
});

describe('a server that is killed', () => {
  it('goes on where it was, and whoever follows hears of everything once, in order', async () => {
    const first = await cli.serve();
    const { port } = new URL(first.url);
    const client = new HttpWorkflowClient({ url: first.url, clock: systemClock(), patienceMs: 30_000 });
    const heard: string[] = [];
    const unsubscribe = client.subscribe((notice: Notice) => {
      if (notice.kind === 'event') heard.push(`${notice.event.workflow_id}:${notice.event.seq}`);
    });
    await client.start({ workflow: 'gate', id: 'before', initiator: TOM });
    await client.untilRest('before');
    await until(
      async () => heard.length,
      (count) => count > 0,
    );
    await client.start({ workflow: 'slow', id: 'under-way', input: { ms: 1_500 }, initiator: TOM });
    first.child.kill('SIGKILL');
    await once(first.child, 'close');
    const rest = client.untilRest('under-way');
    await cli.serve('--port', port);
    const { status, seq } = await rest;
    expect(status).toBe('completed');
    await client.approve('before', 'b', TOM);
    const { seq: last } = await client.untilRest('before');
    await until(
      async () => heard,
      (all) => all.includes(`under-way:${seq}`) && all.includes(`before:${last}`),
    );
    unsubscribe();
    for (const [id, count] of [
      ['under-way', seq],
      ['before', last],
    ] as const) {
      const seqs = heard
        .filter((text) => text.startsWith(`${id}:`))
        .map((text) => Number(text.split(':')[1]));
      expect(new Set(seqs).size).toBe(seqs.length);
      expect(seqs).toEqual(
        Array.from({ length: seqs.length }, (_, index) => count - seqs.length + index + 1),
      );
    }
  });
});

/** A server that was told to stop while an attempt goes on. */
async function stoppedInTheMiddle(grace: string) {
  const { url, child } = await cli.serve('--grace', grace);
  const client = new HttpWorkflowClient({ url, clock: systemClock() });
  await client.start({ workflow: 'slow', id: 's', input: { ms: 1_000 }, initiator: TOM });
  await until(
    () => client.get('s'),
    ({ stages }) => stages[1]?.status === 'running',
  );
  child.kill('SIGTERM');
  return { url, child };
}

describe('a server that is told to stop', () => {
  it('lets attempts end within its grace, and exits with 0', async () => {
    const { child } = await stoppedInTheMiddle('30');
    const [exit] = await once(child, 'close');
    expect(exit).toBe(0);
    const [shown] = cli.run('show', 's', '--json').json();
    const stages = shown?.stages as { state: string; tasks: { interruptions: number }[] }[];
    expect([shown?.state, stages[1]?.state, stages[1]?.tasks[0]?.interruptions]).toEqual([
      'completed',
      'completed',
      0,
    ]);
  });

  it('stops at once at the second signal, and the next engine goes on', async () => {
    const { url, child } = await stoppedInTheMiddle('600');
    await until(
      async () =>
        fetch(`${url}/health`).then(
          (answer) => answer.ok,
          () => false,
        ),
      (isThere) => !isThere,
    );
    child.kill('SIGTERM');
    await once(child, 'close');
    expect(cli.run('resume', 's').exit).toBe(0);
  });
});

describe('a configuration that changes', () => {
  it('is taken over for new instances; a bad one leaves in force what was, and says so', async () => {
    const { url, child } = await cli.serve();
    const health = () => getJson(`${url}/health`);
    const client = new HttpWorkflowClient({ url, clock: systemClock(), person: TOM });
    await client.start({ workflow: 'gate', id: 'old', initiator: TOM });
    await client.untilRest('old');
    const text = readFileSync(join(cli.directory, 'workflows.toml'), 'utf8');
    const { template_hash: before } = cli.run('show', 'old', '--json').json()[0] ?? {};
    cli.write('workflows.toml', text.replaceAll('{ name = "c", agents', '{ name = "d", agents'));
    await until(health, ({ last_reload }) => (last_reload as { ok?: boolean } | null)?.ok === true);
    await client.start({ workflow: 'gate', id: 'new', initiator: TOM });
    expect((await client.get('new')).stages.map(({ name }) => name)).toEqual(['a', 'b', 'd']);
    expect((await client.get('old')).templateHash).toBe(before);
    cli.write('policies/all.cedar', 'permit (');
    child.kill('SIGHUP');
    const bad = await until(
      health,
      ({ last_reload }) => (last_reload as { ok?: boolean } | null)?.ok === false,
    );
    expect(bad.warnings).toContain('the configuration on disk is refused: an earlier one is in force');
    const denied = cli.run('approve', 'new', 'b', '--by', 'mallory', '--json');
    expect(lastOf(denied).code).toBe('unauthorized');
    cli.write('policies/all.cedar', '@id("open")\npermit (principal, action, resource);');
    await until(health, ({ last_reload }) => (last_reload as { ok?: boolean } | null)?.ok === true);
    expect(cli.run('approve', 'new', 'b', '--by', 'mallory').exit).toBe(4);
    // what was denied a moment ago is in the log of decisions
    const flips = cli.run('policy', 'what-if', 'policies', '--since', '1h', '--json').json()[0];
    expect(flips).toMatchObject({ newly_denied: 0, newly_allowed: 1 });
    expect(flips?.flips).toMatchObject([{ was: { policies: ['mallory-approves-nothing'] } }]);
  });
});
