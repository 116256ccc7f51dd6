import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeHost } from './host.suite.js';
import { execute } from './main.js';

const AGENT = `
console.log(JSON.stringify({ progress: 'half of it', fraction: 0.5 }));
await new Promise((resolve) => setTimeout(resolve, 250));
console.log(JSON.stringify({ artifacts: [{ name: 'note', kind: 'code', content: 'x' }] }));
`;
const CONFIG = `
[engine]
store = "mem://"
cedar_policy_dir = "policies"
[[workflows]]
name = "release"
stages = [{ name = "build", agents = ["builder"] }, { name = "deploy", agents = ["builder"], approval_required = true }]
[[agents]]
name = "b1"
roles = ["builder"]
command = ["${process.execPath}", "agent.mjs"]
`;
const POLICY = `@id("all")
permit (principal, action, resource);
@id("only-ops")
forbid (principal, action == Action::"approve-stage", resource) unless { principal in Group::"ops" };
`;

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'vapora-main-'));
  await mkdir(join(cwd, 'policies'));
  await writeFile(join(cwd, 'workflows.toml'), CONFIG);
  await writeFile(join(cwd, 'agent.mjs'), AGENT);
  await writeFile(join(cwd, 'policies', 'all.cedar'), POLICY);
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

async function vapora(argv: readonly string[], more: Parameters<typeof fakeHost>[0] = {}) {
  const host = fakeHost({ cwd, ...more });
  const exit = await execute(argv, host);
  return { exit, out: host.out.join(''), err: host.err.join('') };
}

describe('usage', () => {
  it.each([
    [['rn'], 'unknown command `rn`', 'did you mean `run`?'],
    [['run', 'x', '--lable', 'a=b'], 'unknown option `--lable`', 'did you mean `--label`?'],
    [['run'], 'missing required argument `workflow`', 'see `vapora --help`'],
    [['reject', 'x', 'y'], 'required option `--reason <text>` not specified', 'see `vapora --help`'],
    [
      ['show', 'x', 'y'],
      'too many arguments for `show`: expected 1 argument but got 2',
      'see `vapora --help`',
    ],
    [['completion', 'fsh'], 'there is no completion for `fsh`', 'did you mean'],
  ])('of %j is an error that says what is wrong', async (argv, message, hint) => {
    const { exit, out, err } = await vapora(argv);
    expect(exit).toBe(2);
    expect(err).toContain(`error[usage]: ${message}`);
    expect(err).toContain(`hint: ${hint}`);
    expect(out).toBe('');
  });

  it('knows the levels of the log', async () => {
    const { exit, err } = await vapora(['check'], { env: { VAPORA_LOG: 'verbose' } });
    expect(exit).toBe(2);
    expect(err).toContain('error[usage]: environment variable `VAPORA_LOG` is `verbose`');
    expect(err).toContain('hint: levels are fatal, error, warn, info, debug, trace, silent');
  });

  it('takes no directory for a configuration', async () => {
    const { exit, err } = await vapora(['check', '--config', process.cwd()]);
    expect(exit).toBe(2);
    expect(err).not.toContain('``');
  });

  it('without a command shows the help', async () => {
    const { exit, err } = await vapora([]);
    expect(exit).toBe(2);
    expect(err).toContain('Usage: vapora');
    expect(err).not.toContain('error[');
  });

  it('prints errors as JSON too where JSON is wanted', async () => {
    const { exit, out, err } = await vapora(['rn', '--json']);
    expect(exit).toBe(2);
    expect(JSON.parse(out)).toEqual({
      type: 'error',
      code: 'usage',
      message: 'unknown command `rn`',
      hint: 'did you mean `run`?',
      problems: [],
    });
    expect(err).toContain('error[usage]');
  });

  it('explains each command with examples', async () => {
    const { exit, out } = await vapora(['run', '--help']);
    expect(exit).toBe(0);
    expect(out).toContain('Examples:');
    expect(out).toContain('--initiator <user>');
  });
});

describe('check', () => {
  it('exits 0 with warnings only, and names their places', async () => {
    const { exit, out } = await vapora(['check']);
    expect(exit).toBe(0);
    expect(out).toMatch(/workflows\.toml:7:\d+ warning stage `build` can't be taken back/m);
  });

  it('exits 2 with every problem of configuration or policies', async () => {
    await writeFile(join(cwd, 'bad.toml'), '[engine]\nstroe = 1\n[[workflows]]\nname = "a b"\nstages = []\n');
    const bad = await vapora(['check', '--config', 'bad.toml', '--json']);
    expect(bad.exit).toBe(2);
    const answer = JSON.parse(bad.out);
    expect(answer).toMatchObject({ ok: false, config: null });
    expect(answer.problems.length).toBeGreaterThan(2);
    expect(answer.problems[0]).toMatchObject({
      severity: 'error',
      file: join(cwd, 'bad.toml'),
      line: 2,
      column: 1,
    });

    const policies = await mkdtemp(join(cwd, 'policies-'));
    await writeFile(join(policies, 'x.cedar'), 'permit (principal, action, resource)');
    const env = { VAPORA_CEDAR_POLICY_DIR: policies };
    const broken = await vapora(['check'], { env });
    expect(broken.exit).toBe(2);
    expect(broken.out).toMatch(/x\.cedar:1:\d+ error /);
  });

  it('says where it looked when there is no configuration', async () => {
    const { exit, err } = await vapora(['check'], { cwd: tmpdir() });
    expect(exit).toBe(2);
    expect(err).toContain('error[config_not_found]');
  });
});

describe('policy', () => {
  const ask = (principal: string, ...more: string[]) =>
    vapora(['policy', 'test', '--principal', principal, '--action', 'approve-stage', ...more]);

  it('lists policies with their places', async () => {
    const { exit, out } = await vapora(['policy', 'check', '--json']);
    expect(exit).toBe(0);
    expect(JSON.parse(out).policies).toMatchObject([
      { id: 'all', effect: 'permit', line: 1 },
      { id: 'only-ops', effect: 'forbid', line: 3 },
    ]);
  });

  it('answers allow with 0 and deny with 3, and who decided', async () => {
    const allowed = await ask('User::"ann" in Group::"ops"', '--resource', 'Stage::"deploy"');
    expect(allowed.exit, allowed.err).toBe(0);
    expect(allowed.out).toMatch(/^allow$/m);
    const denied = await ask('User::"ann"', '--resource', 'Stage::"deploy"', '--json');
    expect(denied.exit).toBe(3);
    expect(JSON.parse(denied.out)).toMatchObject({
      decision: 'deny',
      policies: ['only-ops'],
      request: { resource: { type: 'Stage', id: 'deploy', workflow: 'release' } },
    });
  });

  it('refuses stages and workflows that are not there', async () => {
    const stage = await ask('User::"ann"', '--resource', 'Stage::"deplo"');
    expect(stage.exit).toBe(2);
    expect(stage.err).toContain('did you mean `deploy`?');
    const workflow = await ask('User::"ann"', '--resource', 'Stage::"deploy"', '--workflow', 'releas');
    expect(workflow.err).toContain('error[workflow_unknown]');
  });
});

describe('doctor', () => {
  it('is content with a sound pipeline and says what is off', async () => {
    const { exit, out } = await vapora(['doctor', '--json'], { env: { PATH: process.env.PATH } });
    expect(exit, out).toBe(0);
    const findings: { subject: string; level: string; text: string }[] = JSON.parse(out).findings;
    const levels = Object.fromEntries(findings.map(({ subject, level }) => [subject, level]));
    expect(levels).toMatchObject({ policies: 'ok', agent: 'ok', store: 'ok', durability: 'off' });
  });

  it('finds agents that can not be started', async () => {
    await writeFile(join(cwd, 'agents.toml'), CONFIG.replace(process.execPath, 'no-such-program'));
    const { exit, out } = await vapora(['doctor', '--config', 'agents.toml']);
    expect(exit).toBe(1);
    expect(out).toContain('no-such-program: not found in PATH');
  });

  it('lists a store that can not be opened, its secrets hidden', async () => {
    const env = { PATH: process.env.PATH, VAPORA_STORE: `rocksdb://${join(cwd, 'agent.mjs', 'store')}` };
    const { exit, out } = await vapora(['doctor'], { env });
    expect(exit).toBe(5);
    expect(out).toContain('✗ store');
    const server = { ...env, VAPORA_STORE: 'ws://root:secret@127.0.0.1:1/x/y' };
    const remote = await vapora(['doctor'], { env: server });
    expect(remote.exit).toBe(5);
    expect(remote.out).toContain('ws://***@127.0.0.1:1');
    expect(remote.out).not.toContain('secret');
  });
});

describe('init', () => {
  it('writes nothing when something is in the way, or the place is read-only', async () => {
    const target = await mkdtemp(join(cwd, 'init-'));
    await mkdir(join(target, 'policies'));
    await writeFile(join(target, 'policies', 'entities.json'), 'mine');
    const refused = await vapora(['init', target]);
    expect(refused.exit).toBe(2);
    expect(refused.err).toContain('`policies/entities.json` is there already');
    expect(await readdir(target)).toEqual(['policies']);

    const blocked = await mkdtemp(join(cwd, 'init-'));
    // a file where a directory is to be
    await writeFile(join(blocked, 'policies'), '');
    const failed = await vapora(['init', blocked]);
    expect(failed.exit).toBe(2);
    expect(await readdir(blocked)).toEqual(['policies']);
    await chmod(blocked, 0o755);
  });
});

describe('the live view', () => {
  it('leaves a clean screen: the stages, and what to do next', async () => {
    const { exit, out } = await vapora(['run', 'release', '--id', 'r1'], { isTTY: true, columns: 60 });
    expect(exit).toBe(4);
    expect(out).toContain('half of it 50%');
    const screen = new Screen();
    screen.write(out);
    expect(screen.isCursorShown).toBe(true);
    expect(screen.lines[0]).toMatch(/^ {2}✓ build {4}\s*\d+ms {2}b1$/);
    expect(screen.lines[1]).toMatch(/^ {2}\? deploy\s+waits for an approval$/);
    expect(screen.lines.slice(2)).toEqual([
      '',
      '? release r1 waits for an approval of deploy',
      '  → vapora approve r1 deploy, or vapora reject r1 deploy --reason TEXT',
      '  → vapora show r1',
    ]);
  });

  it('shows refused approvals above it', async () => {
    const argv = ['run', 'release', '--approve', 'all', '--initiator', 'ann'];
    const { exit, out } = await vapora(argv, { isTTY: true });
    expect(exit).toBe(4);
    const screen = new Screen();
    screen.write(out);
    expect(screen.lines[0]).toContain('stage `deploy` is not approved');
    const asOps = await vapora([...argv, '--group', 'ops'], { isTTY: true, env: { NO_COLOR: '1' } });
    expect(asOps.exit).toBe(0);
    expect(asOps.out).not.toContain('\u001b');
  });
});

/** As much of a terminal as the view needs. */
class Screen {
  lines: string[] = [''];
  isCursorShown = true;
  #row = 0;

  write(text: string): void {
    const esc = '\u001b';
    for (const part of text.split(new RegExp(`(${esc}\\[[?0-9;]*[A-Za-z]|\\n|\\r)`))) {
      if (part === '\n') {
        this.#row += 1;
        this.lines[this.#row] ??= '';
      } else if (part.endsWith('A') && part.startsWith(esc)) this.#row -= Number(part.slice(2, -1));
      else if (part === `${esc}[J`) this.lines = [...this.lines.slice(0, this.#row), ''];
      else if (part === `${esc}[?25l`) this.isCursorShown = false;
      else if (part === `${esc}[?25h`) this.isCursorShown = true;
      else if (part !== '\r' && !part.startsWith(esc)) this.lines[this.#row] += part;
    }
    while (this.lines.at(-1) === '') this.lines.pop();
  }
}
