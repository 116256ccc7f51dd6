import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { VaporaError } from '../core/errors.js';
import {
  artifactsOf,
  blobOf,
  failureOf,
  inputArtifact,
  logOf,
  MemorySink,
} from '../transport/attempt.suite.js';
import { type Bench, makeBench, runCommand, runNode, runShell } from './command.suite.js';

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
});

describe('a command agent', () => {
  it('gets its task on stdin and hands in content and files', async () => {
    const outcome = await runNode(
      bench,
      `import { readFileSync, writeFileSync } from 'node:fs';
       const task = JSON.parse(readFileSync(0, 'utf8'));
       const big = task.artifacts.find((a) => a.name === 'big');
       writeFileSync(process.env.VAPORA_WORKDIR + '/out.txt', 'from workdir');
       writeFileSync('here.txt', 'from cwd');
       console.error('working');
       console.log(JSON.stringify({
         artifacts: [
           { name: 'echo', kind: 'review', content: { ...task, artifacts: task.artifacts.map((a) => a.content ?? 'file') } },
           { name: 'size', kind: 'review', content: String(readFileSync(big.path).length) },
           { name: 'a', kind: 'code', path: 'out.txt' },
           { name: 'b', kind: 'code', path: 'here.txt' },
         ],
         output: { version: task.input.version },
       }, null, 2));`,
      {
        order: {
          labels: { team: 'x' },
          input: blobOf(JSON.stringify({ version: '1.2', long: 'x'.repeat(5_000) })),
          artifacts: [
            inputArtifact('small', 'grüße'),
            inputArtifact('medium', 'm'.repeat(5_000)),
            inputArtifact('binary', new Uint8Array([255, 0, 1])),
            inputArtifact('big', 'b'.repeat(300_000)),
          ],
          steps: [{ name: 'done', value: [1] }],
        },
      },
    );
    const { echo, ...others } = artifactsOf(outcome);
    expect(others).toEqual({ size: '300000', a: 'from workdir', b: 'from cwd' });
    expect(JSON.parse(echo ?? '')).toMatchObject({
      type: 'task',
      stage_name: 'deploy',
      workflow_id: 'wf-1',
      workflow: 'release',
      role: 'deployer',
      attempt: 1,
      idempotency_key: 'wf-1/deploy/deployer/execute',
      initiator: 'ann',
      labels: { team: 'x' },
      steps: [{ name: 'done', value: [1] }],
      artifacts: ['grüße', 'm'.repeat(5_000), 'file', 'file'],
    });
    expect(outcome).toMatchObject({ output: { version: '1.2' } });
    expect(logOf(outcome)).toBe('working\n');
  });

  it('gets a compensation in the shape that compensations have', async () => {
    const outcome = await runNode(
      bench,
      `import { readFileSync } from 'node:fs';
       console.log(JSON.stringify({ output: JSON.parse(readFileSync(0, 'utf8')) }));`,
      {
        order: {
          type: 'compensation',
          reason: 'stage `verify` failed',
          artifacts: [inputArtifact('image', 'v1')],
          artifacts_to_undo: [inputArtifact('release', 'r1', { stage: 'deploy' })],
        },
      },
    );
    expect(outcome).toMatchObject({
      output: {
        type: 'compensation',
        reason: 'stage `verify` failed',
        original_context: { input: { version: '1.2' }, artifacts: [{ name: 'image', content: 'v1' }] },
        artifacts_to_undo: [{ name: 'release', stage: 'deploy', content: 'r1' }],
      },
    });
  });

  it('sees its ids and what was configured, and nothing of the secrets of the engine', async () => {
    process.env.VAPORA_TEST_SECRET = 'hush';
    process.env.AWS_SECRET_ACCESS_KEY = 'hush';
    process.env.LC_TEST = 'de';
    const outcome = await runNode(bench, 'console.log(JSON.stringify({ output: process.env }))', {
      config: { env: { MODE: 'fast', VAPORA_STAGE: 'forged' } },
      order: { initiator: 'an\0n' },
    });
    delete process.env.VAPORA_TEST_SECRET;
    delete process.env.AWS_SECRET_ACCESS_KEY;
    delete process.env.LC_TEST;
    expect(JSON.stringify(outcome)).not.toContain('hush');
    expect(outcome).toMatchObject({
      output: {
        MODE: 'fast',
        LC_TEST: 'de',
        PATH: process.env.PATH,
        VAPORA_WORKFLOW_ID: 'wf-1',
        VAPORA_WORKFLOW: 'release',
        VAPORA_STAGE: 'deploy',
        VAPORA_ROLE: 'deployer',
        VAPORA_ATTEMPT: '1',
        VAPORA_TASK_TYPE: 'task',
        VAPORA_IDEMPOTENCY_KEY: 'wf-1/deploy/deployer/execute',
        VAPORA_INITIATOR: 'ann',
      },
    });
  });

  it('is not run by a shell, and finds a private directory', async () => {
    const outcome = await runCommand(bench, ['/bin/echo', '{"output":"$(id) `id` ; id"}']);
    expect(outcome).toMatchObject({ output: '$(id) `id` ; id' });
    const mode = await runShell(bench, 'echo "{\\"output\\":\\"$(stat -c %a "$VAPORA_WORKDIR")\\"}"');
    expect(mode).toMatchObject({ output: '700' });
  });

  it('passes progress, signs of life and steps on while it works', async () => {
    const sink = new MemorySink();
    const outcome = await runShell(
      bench,
      `echo '{"progress":"half","fraction":0.5}'; sleep 0.1
       echo '{"step":{"name":"reserve","value":{"id":7}}}'; sleep 0.1
       echo '{"step":{"name":"old","value":"again"}}'
       echo '{"progress":"done"}'; echo '{"output":1}'`,
      { sink, order: { steps: [{ name: 'old', value: 'kept' }] } },
    );
    expect(outcome).toMatchObject({ status: 'completed', output: 1 });
    expect(sink.progresses).toEqual([
      { message: 'half', fraction: 0.5 },
      { message: 'done', fraction: null },
    ]);
    expect(sink.steps).toEqual([{ name: 'reserve', value: { id: 7 } }]);
    expect(sink.heartbeats).toBeGreaterThanOrEqual(3);
  });

  it('is ended where a step can not be kept', async () => {
    const sink = new MemorySink();
    sink.step = () => Promise.reject(new VaporaError('agent_lost', 'no longer current'));
    const outcome = await runShell(bench, `echo '{"step":{"name":"a","value":1}}'; sleep 300`, { sink });
    expect(failureOf(outcome)).toMatchObject({ code: 'agent_lost', isRetryable: true });
  });

  it('that reads neither its task nor says a word completes', async () => {
    const outcome = await runShell(bench, 'exec <&-; exit 0', {
      order: { input: blobOf(JSON.stringify('x'.repeat(5_000_000))) },
    });
    expect(outcome).toEqual({ status: 'completed', artifacts: [], output: null, log: null });
  });

  it('keeps text beside its result in the log', async () => {
    const outcome = await runShell(bench, `echo compiling; echo '{"output":1}'; echo bye`);
    expect(outcome).toMatchObject({ status: 'completed', output: 1 });
    expect(logOf(outcome)).toBe('compiling\nbye\n');
  });
});

describe('the end of a command', () => {
  it.each([
    ['exit 75', 'agent_failed', true, 'exited with 75: full'],
    ['exit 1', 'task_failed', false, 'exited with 1: full'],
    ['exit 255', 'task_failed', false, 'exited with 255: full'],
    ['kill -SEGV $$', 'agent_failed', true, 'was ended by SIGSEGV: full'],
  ])('by `%s` is %s', async (end, code, isRetryable, words) => {
    const outcome = await runShell(bench, `echo first >&2; echo full >&2; echo '{"output":1}'; ${end}`);
    expect(failureOf(outcome)).toEqual({ code, isRetryable, message: `agent \`robot\` ${words}` });
    expect(logOf(outcome)).toContain('first\nfull\n');
  });

  it('keeps only the end of what it wrote on stderr', async () => {
    const outcome = await runShell(bench, 'yes line | head -c 1000000 >&2; echo last >&2; exit 1');
    expect(failureOf(outcome).message).toContain('last');
    expect(Buffer.byteLength(logOf(outcome))).toBeLessThanOrEqual(65_536);
    expect(logOf(outcome).startsWith('line\n')).toBe(true);
  });

  it('by what can not be started names it', async () => {
    const file = join(bench.cwd, 'plain');
    await writeFile(file, 'echo');
    await chmod(file, 0o644);
    const cases: [string[], string][] = [
      [['no-such-program'], '`no-such-program` is not there'],
      [[file], 'EACCES'],
      [['./plain/x'], './plain/x'],
      [['/bin/echo', 'a\0b'], '/bin/echo'],
    ];
    for (const [command, words] of cases) {
      const failure = failureOf(await runCommand(bench, command));
      expect(failure).toMatchObject({ code: 'agent_missing', isRetryable: false });
      expect(failure.message).toContain(words);
    }
    const cwd = join(bench.cwd, 'gone');
    const failure = failureOf(await runCommand(bench, ['/bin/true'], { config: { cwd } }));
    expect(failure).toMatchObject({ code: 'agent_missing', message: expect.stringContaining(cwd) });
  });

  it('is a failure to retry where its task can not be read', async () => {
    const lost = blobOf('lost'.repeat(5_000));
    const { inline: _inline, ...ref } = { inline: '', ...lost };
    const sink = new MemorySink();
    sink.blob = () => Promise.reject(new Error('the disk is gone'));
    const outcome = await runShell(bench, 'true', { sink, order: { input: ref } });
    expect(failureOf(outcome)).toMatchObject({ code: 'agent_failed', isRetryable: true });
  });
});

describe('what a command hands in', () => {
  it.each([
    ['garbage', `echo 'Segmentation fault, \\o/'`],
    ['half a JSON', `printf '{"artifacts": [{"name": "a"'`],
    ['bytes that are no text', `printf '{"output":"\\377\\376"}'`],
    ['an unknown key', `echo '{"artefacts": []}'`],
    ['a list', `echo '[1,2]'`],
    ['a prototype', `echo '{"__proto__": {"output": 1}}'`],
    ['a name that is a path', `echo '{"artifacts":[{"name":"../a","kind":"code","content":"x"}]}'`],
    ['content and path', `echo '{"artifacts":[{"name":"a","kind":"code","content":"x","path":"y"}]}'`],
    ['a step without a value', `echo '{"step":{"name":"a"}}'`],
    ['a step twice', `echo '{"step":{"name":"a","value":1}}'; echo '{"step":{"name":"a","value":1}}'`],
    ['progress that is no text', `echo '{"progress":{}}'`],
    [
      'a path out of its directories',
      `echo '{"artifacts":[{"name":"a","kind":"code","path":"/etc/passwd"}]}'`,
    ],
    ['deep nesting', `node -e 'console.log("{\\"output\\":" + "[".repeat(1e5) + "]".repeat(1e5) + "}")'`],
  ])('is refused for good: %s', async (_case, script) => {
    const failure = failureOf(await runShell(bench, script));
    expect(failure).toMatchObject({ code: 'agent_protocol', isRetryable: false });
    expect(failure.message).toMatch(/^agent `robot` (wrote|returned) /);
  });

  it('is quoted where it is no JSON, but not all of it', async () => {
    const failure = failureOf(await runShell(bench, `printf 'x%.0s' $(seq 1000)`));
    expect(failure.message).toContain(`\`${'x'.repeat(80)}…\``);
  });

  it('may be 100 MB without filling the memory', async () => {
    const before = process.memoryUsage().rss;
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 5);
    const outcome = await runShell(bench, 'head -c 100000000 /dev/zero; sleep 300');
    clearInterval(watch);
    expect(failureOf(outcome)).toMatchObject({ code: 'agent_protocol', isRetryable: false });
    expect(failureOf(outcome).message).toContain('more than the 16777216 bytes');
    expect(peak - before).toBeLessThan(150_000_000);
  });

  it('leaves directories alone that are not its own', async () => {
    await mkdir(join(bench.cwd, 'sub'));
    const outcome = await runShell(
      bench,
      `echo kept > sub/f; echo '{"artifacts":[{"name":"a","kind":"code","path":"./sub/f"}]}'`,
    );
    expect(artifactsOf(outcome)).toEqual({ a: 'kept\n' });
    expect(await readFile(join(bench.cwd, 'sub/f'), 'utf8')).toBe('kept\n');
    expect((await stat(bench.workRoot)).isDirectory()).toBe(true);
  });
});
