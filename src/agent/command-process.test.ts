import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { failureOf, pause, until } from '../transport/attempt.suite.js';
import { type Bench, makeBench, processesWith, runShell, startCommand } from './command.suite.js';

let bench: Bench;
/** Seconds to sleep, so odd that the command line is unique to the test. */
let nap: string;
let naps = 0;
beforeEach(async () => {
  bench = await makeBench();
  nap = `3${process.pid}.${++naps}1`;
});

const shell = (script: string) => ['/bin/sh', '-c', script];

/** Ends by itself whatever it is sent, but for SIGKILL. */
const STUBBORN = `trap '' TERM INT HUP; while :; do sleep 0.05; done`;

describe('the processes of a command', () => {
  it('end when it takes too long', async () => {
    const outcome = await runShell(bench, `sleep ${nap} & sleep ${nap}`, { config: { timeoutMs: 150 } });
    expect(failureOf(outcome)).toMatchObject({ code: 'agent_timeout', isRetryable: true });
    expect(processesWith(nap)).toEqual([]);
  });

  it('end when it is stopped, before the stop resolves', async () => {
    const { transport, sink, order } = startCommand(bench, shell(`sleep ${nap} & sleep ${nap}`));
    await until(() => processesWith(`sleep\0${nap}`).length === 2);
    await transport.stop(order.task_id);
    expect(sink.outcomes.map(failureOf)).toMatchObject([{ code: 'agent_lost', isRetryable: true }]);
    expect(processesWith(nap)).toEqual([]);
  });

  it('get the chance to clear up when they are stopped', async () => {
    const flag = join(bench.cwd, 'cleared');
    const { transport, sink, order } = startCommand(
      bench,
      shell(`trap 'echo x > ${flag}; exit 0' TERM; echo '{"progress":"up"}'; while :; do sleep 0.02; done`),
      { options: { killGraceMs: 10_000 } },
    );
    await until(() => sink.progresses.length > 0);
    await transport.stop(order.task_id);
    expect(existsSync(flag)).toBe(true);
    // a clean exit after a stop is no success
    expect(sink.outcomes.map(failureOf)).toMatchObject([{ code: 'agent_lost' }]);
  });

  it('are killed where they ignore being asked', async () => {
    const { transport, sink, order } = startCommand(
      bench,
      shell(`echo '{"progress":"up"}'; ${STUBBORN} # ${nap}`),
    );
    await until(() => sink.progresses.length > 0);
    const start = Date.now();
    await transport.stop(order.task_id);
    expect(Date.now() - start).toBeGreaterThanOrEqual(190);
    expect(processesWith(nap)).toEqual([]);
  });

  it('are stopped where the order to stop comes before they are started', async () => {
    const { transport, sink, order } = startCommand(bench, shell(`sleep ${nap}`));
    await transport.stop(order.task_id);
    expect(sink.outcomes.map(failureOf)).toMatchObject([{ code: 'agent_lost', isRetryable: true }]);
    expect(processesWith(nap)).toEqual([]);
  });

  it('end with the transport', async () => {
    const { transport, sink } = startCommand(bench, shell(`sleep ${nap}`));
    await until(() => processesWith(nap).length > 0);
    await transport.close();
    expect(sink.outcomes).toHaveLength(1);
    expect(processesWith(nap)).toEqual([]);
  });

  it('do not outlive its success, not even in a session of their own', async () => {
    const outcome = await runShell(
      bench,
      `sleep ${nap} >/dev/null 2>&1 &
       setsid sh -c 'trap "" TERM HUP; sleep ${nap}; true' >/dev/null 2>&1 </dev/null &
       sleep 0.1; echo '{"output":1}'`,
    );
    expect(outcome).toMatchObject({ status: 'completed', output: 1 });
    expect(processesWith(nap)).toEqual([]);
  });

  it('are found when they fork, hide and let their parents go', async () => {
    const file = join(bench.cwd, 'daemon.sh');
    // no pause: the daemon may still be on its way between fork and exec when the command ends
    await writeFile(file, `( setsid sh -c '( setsid sleep ${nap} & ) & ' & ) >/dev/null 2>&1 </dev/null\n`);
    for (let round = 0; round < 5; round++) {
      const outcome = await runShell(bench, `. ${file}; echo '{"output":1}'`);
      expect(outcome.status).toBe('completed');
      await pause(30);
      expect(processesWith(nap)).toEqual([]);
    }
  });

  it('do not hold its end up by keeping stdout open', async () => {
    const start = Date.now();
    const outcome = await runShell(bench, `setsid sleep ${nap} & sleep ${nap} & echo '{"output":1}'`);
    expect(outcome).toMatchObject({ status: 'completed', output: 1 });
    expect(Date.now() - start).toBeLessThan(5_000);
    expect(processesWith(nap)).toEqual([]);
  });

  it('may be late with their words by a moment', async () => {
    const outcome = await runShell(bench, `(sleep 0.1; echo '{"output":"late"}') & exit 0`);
    expect(outcome).toMatchObject({ status: 'completed', output: 'late' });
  });
});
