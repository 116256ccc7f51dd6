/** The command line's contract with real processes: exit codes, JSON shapes, bad input, interrupts. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeCommands } from './cli.suite.js';
import { CliPipeline, lastOf } from './cli-pipeline.js';

let cli: CliPipeline;
beforeAll(() => {
  cli = new CliPipeline();
});
afterAll(() => cli.close());

describeCommands(() => cli);

describe('reading', () => {
  it('is no crash when nobody reads the output any more', async () => {
    const child = cli.start('history', 'good-1');
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    const [exit] = await once(child, 'exit');
    expect(stderr).toBe('');
    expect(exit).toBe(0);
  });
});

describe('an interrupt', () => {
  it('stops agents, keeps state, exits 130 and says how to go on', async () => {
    const child = cli.start('run', 'slow', '--id', 'slow-1', '--input', '{"ms": 60000}', '--json');
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk);
    });
    while (!stdout.includes('"stage":"b","role":"slow"')) await once(child.stdout, 'data');
    const locked = cli.run('list', '--json');
    expect(locked.exit).toBe(5);
    expect(locked.stderr).toContain(`held by process ${child.pid}`);
    child.kill('SIGINT');
    const [exit] = await once(child, 'close');
    expect(exit).toBe(130);
    expect(stderr).toBe('interrupted: state is kept; go on with `vapora resume slow-1`\n');
    const last = stdout.trimEnd().split('\n').at(-1) ?? '';
    expect(JSON.parse(last)).toMatchObject({ type: 'error', code: 'engine_stopping' });

    const shown = cli.run('show', 'slow-1', '--json').json()[0];
    expect(shown).toMatchObject({ state: 'active', stages: [{ state: 'completed' }, { state: 'running' }] });
  });

  it('leaves an instance that can be resumed or cancelled', () => {
    const cancelled = cli.run('cancel', 'slow-1', '--json');
    expect(cancelled.exit, cancelled.stderr).toBe(0);
    expect(lastOf(cancelled)).toMatchObject({ state: 'cancelled' });
    const ended = cli.run('resume', 'slow-1', '--json');
    expect(ended.exit).toBe(1);
    expect(lastOf(ended)).toMatchObject({ type: 'result', state: 'cancelled' });
  });

  it('is overcome by `resume --all`, whose exit code is that of the worst', () => {
    // gate-4 waits for an approval, nothing has to fail
    const resumed = cli.run('resume', '--all', '--json');
    expect(resumed.exit, resumed.stderr).toBe(4);
    expect(resumed.json()).toMatchObject([
      { type: 'result', workflow_id: 'gate-4', state: 'waiting_approval' },
    ]);
  });
});

describe('bad input', () => {
  const cases: [string, string[], string][] = [
    ['an unknown workflow', ['run', 'goood'], 'did you mean `good`?'],
    ['an unknown instance', ['show', 'good-11'], 'did you mean `good-1`?'],
    ['an unknown stage', ['approve', 'gate-4', 'cc'], 'has no stage `cc`'],
    ['input that is no JSON', ['run', 'good', '--input', '{"a": }'], 'line 1, column 7'],
    ['an id with a slash', ['run', 'good', '--id', 'a/b'], 'error[name_invalid]'],
    ['an id with a line break', ['run', 'good', '--id', 'a\nb'], 'error[name_invalid]'],
    ['SQL as an id', ['show', 'x; DELETE workflow_instances'], 'error[instance_unknown]'],
    ['a program for a configuration', ['list', '--config', 'agent.mjs'], 'error[config_invalid]'],
  ];
  it.each(cases)('%s has a coded error and exit code 2', (_, args, words) => {
    const ran = cli.run(...args);
    expect(ran.stderr).toContain(words);
    expect(ran.exit).toBe(2);
  });

  it('of 50 MB or nested 100,000 deep is refused at once', () => {
    cli.write('large.json', `"${'x'.repeat(50_000_000)}"`);
    expect(cli.run('run', 'good', '--input', 'large.json').stderr).toContain('error[input_too_large]');
    cli.remove('large.json');
    cli.write('deep.json', '['.repeat(100_000) + ']'.repeat(100_000));
    const deep = cli.run('run', 'good', '--input', 'deep.json');
    expect(deep.stderr).toContain('nested more than 100 deep (line 1, column 101)');
    expect(deep.exit).toBe(2);
  });

  it('changes nothing', () => {
    expect(cli.run('audit', 'verify').exit).toBe(0);
  });
});

describe('init', () => {
  it('makes a pipeline that passes its own tests', () => {
    expect(cli.run('init', 'new/one').exit).toBe(0);
    const cwd = join(cli.directory, 'new/one');
    expect(cli.runWith({ cwd }, 'run', 'hello').exit).toBe(0);
    expect(existsSync(join(cwd, '.gitignore'))).toBe(true);
    const again = cli.runWith({ cwd }, 'init');
    expect(again.exit).toBe(2);
    expect(again.stderr).toContain('`workflows.toml` is there already');
  });
});
