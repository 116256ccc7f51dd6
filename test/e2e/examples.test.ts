/** Every example, run as its README says, with what it leaves behind on disk. */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../tidy/source.js';

const VAPORA = join(ROOT, 'bin', 'vapora');
const DEMO = join(ROOT, 'scripts', 'demo.mjs');
const PATIENCE_MS = 120_000;

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'vapora-examples-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function copyOf(example: string, name = example): string {
  const directory = join(home, name);
  cpSync(join(ROOT, 'examples', example), directory, { recursive: true });
  return directory;
}

function node(cwd: string, ...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, args, { cwd, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
}

function vapora(cwd: string, ...args: readonly string[]): SpawnSyncReturns<string> {
  return node(cwd, VAPORA, ...args);
}

/** What `--json` printed last. */
function lastJson(run: SpawnSyncReturns<string>): unknown {
  return JSON.parse(run.stdout.trim().split('\n').at(-1) ?? '');
}

describe('the demo of npm start', () => {
  let directory: string;
  let demo: SpawnSyncReturns<string>;
  const json = (file: string) => JSON.parse(readFileSync(join(directory, 'site', 'prod', file), 'utf8'));

  beforeAll(() => {
    directory = join(home, 'demo');
    demo = node(home, DEMO, '--dir', directory);
  }, PATIENCE_MS);

  it('has every release come out as it should, and says so', () => {
    expect(demo.status, demo.stdout + demo.stderr).toBe(0);
    expect(demo.stdout).toContain('What to try next');
    expect(demo.stdout).not.toContain('not as expected');
  });

  it('leaves the first release in place and nothing of the one that was taken back', () => {
    const site = join(directory, 'site', 'prod');
    expect(readdirSync(join(site, 'slots'))).toEqual(['release-1.0.0']);
    expect(basename(realpathSync(join(site, 'current')))).toBe('release-1.0.0');
    expect(json('data.json')).toMatchObject({ schema: 1, products: [{ price: 4.5, stock: 12 }, {}, {}] });
    expect(json('slots/release-1.0.0/manifest.json').files).toHaveLength(2);
  });

  it('announces what was released, once, and nothing else', () => {
    const announced = readFileSync(join(directory, 'site', 'announcements.log'), 'utf8');
    expect(announced).toBe(
      'shop 1.0.0 is live, released by rita [release-1.0.0/announce/announcer/execute]\n',
    );
  });

  it('leaves instances that can be looked at: completed, taken back, denied by a named policy', () => {
    const states = ['1.0.0', '1.1.0', '1.1.1'].map((version) =>
      lastJson(vapora(directory, 'show', `release-${version}`, '--json')),
    );
    expect(states).toMatchObject([
      { state: 'completed', compensation: null },
      {
        state: 'failed',
        compensation: { order: ['smoke-test', 'deploy', 'migrate', 'provision'], dead_letters: [] },
      },
      { state: 'blocked', denials: { provision: { policies: ['prod-is-for-release-managers'] } } },
    ]);
    expect(vapora(directory, 'audit', 'verify', '--all').status).toBe(0);
  });

  it('ends no service but its own, and leaves none', () => {
    expect(existsSync(join(directory, 'site', 'host.json'))).toBe(false);
  });
});

it(
  'the demo ends with 130 and without a service when it is interrupted',
  async () => {
    const directory = join(home, 'interrupted');
    const demo = spawn(process.execPath, [DEMO, '--dir', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => demo.once('close', resolve));
    let printed = '';
    demo.stdout.setEncoding('utf8').on('data', (chunk) => {
      printed += chunk;
      if (printed.includes('$ vapora approve')) demo.kill('SIGINT');
    });
    expect(await ended).toBe(130);
    expect(existsSync(join(directory, 'site', 'host.json'))).toBe(false);
    expect(printed).not.toContain('A release that breaks');
  },
  PATIENCE_MS,
);

describe('examples/deploy', () => {
  it('is free of errors, and warns only of the stage that merely reads', () => {
    const check = vapora(copyOf('deploy'), 'check', '--json');
    expect(check.status, check.stderr).toBe(0);
    expect(check.stdout.match(/can't be taken back/g)).toHaveLength(1);
    expect(check.stdout).toContain("`smoke-test` can't be taken back");
  });

  it(
    'takes everything back where the host is not running',
    () => {
      const directory = copyOf('deploy', 'hostless');
      const started = ['--id', 'r', '--input', '{"version":"1.0.0"}', '--initiator', 'rita'];
      expect(vapora(directory, 'run', 'release', ...started).status).toBe(4);
      const approved = vapora(directory, 'approve', 'r', 'deploy', '--by', 'olga', '--json');
      expect(approved.status).toBe(1);
      expect(lastJson(approved)).toMatchObject({
        state: 'failed',
        error: { code: 'agent_failed' },
        compensation: { dead_letters: [] },
      });
      expect(approved.stdout).toContain('start it with `node host.mjs`');
      const site = join(directory, 'site', 'staging');
      expect(readdirSync(site).sort()).toEqual(['data.json', 'slots']);
      expect(readdirSync(join(site, 'slots'))).toEqual([]);
      expect(JSON.parse(readFileSync(join(site, 'data.json'), 'utf8')).schema).toBe(0);
    },
    PATIENCE_MS,
  );
});

describe('examples/review', () => {
  const feature = (directory: string, input: string) =>
    vapora(directory, 'run', 'feature', '--id', 'slug', '--input', input, '--json');

  it('hands artifacts on until there is documentation of what was tested and reviewed', () => {
    const directory = copyOf('review');
    const run = feature(directory, 'slug.json');
    expect(run.status, run.stderr).toBe(0);
    expect(lastJson(run)).toMatchObject({
      artifacts: ['adr', 'code', 'test_results', 'test_results', 'review', 'review', 'documentation'].map(
        () => expect.anything(),
      ),
    });
    const page = vapora(directory, 'artifacts', 'slug', 'README.md').stdout;
    for (const words of ['# A function `slug(title)`', '2 of 2 examples pass', 'no line is too long']) {
      expect(page).toContain(words);
    }
  });

  it('fails where the code does not do what its examples say', () => {
    const directory = copyOf('review', 'wrong');
    const wish = JSON.parse(readFileSync(join(directory, 'slug.json'), 'utf8'));
    const run = feature(directory, JSON.stringify({ ...wish, body: ['return title;'] }));
    expect(run.status).toBe(1);
    expect(lastJson(run)).toMatchObject({
      state: 'failed',
      error: {
        message: expect.stringContaining('slug("Hello, World!") is "Hello, World!", not "hello-world"'),
      },
    });
  });
});

describe('examples/library', () => {
  it('prints what its README shows', () => {
    const readme = readFileSync(join(ROOT, 'examples', 'library', 'README.md'), 'utf8');
    const [, shown] = /```text\n([\s\S]*?)```/.exec(readme) ?? [];
    const run = node(home, join(ROOT, 'examples', 'library', 'order.mjs'), join(home, 'library'));
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toBe(shown);
  });
});
