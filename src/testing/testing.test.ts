import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Agent, TaskContext } from '../agent/index.js';
import { defineWorkflow } from '../config/define.js';
import { openTestEngine, TestClock } from './index.js';

const ANN = { user: 'ann', groups: [] };

function agent(execute: Agent['execute'], more: Partial<Agent> = {}): Agent {
  return { name: 'worker', roles: ['work'], execute, ...more };
}

describe('TestClock', () => {
  it('rings timers in order, each at its time, and lets what they set going go on', async () => {
    const clock = new TestClock(1_000);
    const rung: string[] = [];
    const ring = (name: string) => () => rung.push(`${name}@${clock.now()}`);
    clock.after(20, ring('b'));
    clock.after(20, ring('c'));
    clock.after(10, async () => {
      ring('a')();
      await Promise.resolve();
      clock.after(5, ring('from a'));
    });
    const cancel = clock.after(15, ring('never'));
    cancel();
    await clock.advance(19);
    expect([rung, clock.now(), clock.pending]).toEqual([['a@1010', 'from a@1015'], 1_019, 2]);
    await clock.advance(1);
    expect(rung.slice(2)).toEqual(['b@1020', 'c@1020']);
    expect([clock.now(), clock.pending]).toEqual([1_020, 0]);
    expect([clock.newId(), clock.newId(), clock.random()]).toEqual(['test-1', 'test-2', 0]);
  });
});

describe('a test engine', () => {
  const retry = { max_attempts: 3, initial_ms: 60_000, max_ms: 600_000, factor: 2 };
  const flow = defineWorkflow({
    name: 'w',
    trigger: 'manual',
    stages: [{ name: 's', agents: ['work'], retry }],
  });

  it('waits for retries by its clock, to the millisecond', async () => {
    const attempts: number[] = [];
    const engine = await openTestEngine({
      workflows: [flow],
      agents: [
        agent(({ attempt }) => {
          attempts.push(engine.clock.now());
          if (attempt < 3) throw new Error('not yet');
          return undefined;
        }),
      ],
    });
    const start = engine.clock.now();
    const id = await engine.start('w');
    await engine.clock.advance(59_999);
    expect(attempts).toHaveLength(1);
    await engine.clock.advance(120_001);
    expect(attempts.map((at) => at - start)).toEqual([0, 60_000, 180_000]);
    expect((await engine.api.untilRest(id)).status).toBe('completed');
    await engine.close();
    await engine.close();
    expect(engine.clock.pending).toBe(0);
  });

  it('lets approvals and workflows run out of time', async () => {
    const slow = { name: 's', agents: ['work'] };
    const engine = await openTestEngine({
      workflows: [
        defineWorkflow({
          name: 'gated',
          trigger: 'manual',
          stages: [{ ...slow, approval_required: true, approval_timeout: 3_600 }],
        }),
        defineWorkflow({ name: 'slow', trigger: 'manual', stages: [slow] }, { workflowTimeoutMs: 5_000 }),
      ],
      agents: [agent(() => new Promise<undefined>(() => {}))],
    });
    expect((await engine.run('gated', { id: 'g' })).status).toBe('waiting_approval');
    await engine.clock.advance(3_600_000);
    expect(await engine.api.get('g')).toMatchObject({
      status: 'failed',
      error: { code: 'approval_timeout' },
    });
    await engine.start('slow', { id: 's' });
    await engine.clock.advance(5_000);
    expect(await engine.api.get('s')).toMatchObject({
      status: 'failed',
      error: { code: 'workflow_timeout' },
    });
    await engine.close();
  });

  it('goes on after a crash with what was committed, and stops what was under way', async () => {
    const signals: TaskContext['signal'][] = [];
    const engine = await openTestEngine({
      workflows: [flow],
      agents: [
        agent(({ attempt }, ctx) => {
          signals.push(ctx.signal);
          return attempt === 1 ? new Promise<undefined>(() => {}) : undefined;
        }),
      ],
    });
    const id = await engine.start('w');
    const next = await engine.crash();
    expect(signals[0]?.aborted).toBe(true);
    expect((await next.api.untilRest(id)).stages[0]?.tasks[0]).toMatchObject({ attempt: 2, failures: 0 });
    expect(await next.start('w')).not.toBe(id);
    await expect(engine.api.get(id)).rejects.toMatchObject({ code: 'engine_stopping' });
    await next.close();
  });

  it('lets agents come and go, and keeps what was told', async () => {
    const engine = await openTestEngine({ workflows: [flow] });
    const id = await engine.start('w');
    expect((await engine.api.untilRest(id)).status).toBe('blocked');
    engine.addAgent(
      agent((_task, ctx) => {
        ctx.progress('half', 0.5);
        return undefined;
      }),
    );
    await engine.clock.advance(0);
    expect((await engine.api.untilRest(id)).status).toBe('completed');
    expect(engine.notices.filter(({ kind }) => kind === 'progress')).toMatchObject([
      { workflow_id: id, stage: 's', progress: { message: 'half', fraction: 0.5 } },
    ]);
    const told = engine.notices.flatMap((notice) => (notice.kind === 'event' ? [notice.event] : []));
    expect(told).toEqual(await engine.events(id));
    engine.removeAgent('worker');
    expect((await engine.run('w')).status).toBe('blocked');
    await engine.close();
  });

  it('obeys real policies', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'vapora-testing-'));
    await writeFile(
      join(directory, 'all.cedar'),
      'permit (principal, action, resource); forbid (principal, action == Action::"start-workflow", resource) unless { principal == User::"ann" };',
    );
    const engine = await openTestEngine({
      workflows: [flow],
      agents: [agent(() => undefined)],
      policies: directory,
    });
    await expect(engine.start('w')).rejects.toMatchObject({ code: 'unauthorized' });
    expect((await engine.run('w', { initiator: ANN })).status).toBe('completed');
    await engine.close();
    await rm(directory, { recursive: true });
  });

  it('refuses agents that are not valid, or twice there', async () => {
    const worker = agent(() => undefined);
    const invalid = { code: 'config_invalid' };
    await expect(openTestEngine({ workflows: [], agents: [worker, worker] })).rejects.toMatchObject(invalid);
    await expect(openTestEngine({ workflows: [], agents: [{ ...worker, roles: [] }] })).rejects.toMatchObject(
      invalid,
    );
  });
});
