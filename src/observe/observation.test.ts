import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { type Engine, openEngine } from '../compose.js';
import { parseConfig } from '../config/load.js';
import { createLogger } from './logger.js';

const CONFIG = `
[engine]
store = "mem://"
[[workflows]]
name = "good"
stages = [{ name = "a", agents = ["ok"] }]
[[workflows]]
name = "bad"
stages = [
  { name = "a", agents = ["ok"], compensation_agents = ["undo"] },
  { name = "b", agents = ["ok"], compensation_agents = ["stuck"], compensation_retry = { max_attempts = 2, initial_ms = 0 } },
  { name = "c", agents = ["fail"], retry = { max_attempts = 2, initial_ms = 0 } },
]
[[workflows]]
name = "gate"
stages = [{ name = "a", agents = ["ok"], approval_required = true }]
[[workflows]]
name = "lonely"
stages = [{ name = "a", agents = ["slow"] }]
`;
const ANN = { user: 'ann', groups: [] };

const ok = defineAgent({
  name: 'ok',
  roles: ['ok', 'undo'],
  execute: () => ({ output: 'SECRET-OUTPUT' }),
  compensate: () => ({}),
});
const broken = defineAgent({
  name: 'broken',
  roles: ['fail', 'stuck'],
  execute: () => {
    throw new Error('SECRET-ERROR');
  },
  compensate: () => {
    throw new Error('SECRET-ERROR');
  },
});
const slow = defineAgent({
  name: 'slow',
  roles: ['slow'],
  execute: (_, { signal }) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
});

const lines: string[] = [];
let engine: Engine;
beforeEach(async () => {
  lines.length = 0;
  const config = parseConfig(CONFIG, { file: '/nowhere/workflows.toml' }, {});
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  engine = await openEngine(config, { agents: [ok, broken, slow], metrics: true, logger, env: {} });
});
afterEach(() => engine.close());

async function run(workflow: string): Promise<string> {
  const { id } = await engine.api.start({ workflow, initiator: ANN, input: { key: 'SECRET-INPUT' } });
  if (workflow !== 'lonely') await engine.api.untilRest(id);
  return id;
}

/** Samples by name and labels, as they are printed. */
async function samples(): Promise<ReadonlyMap<string, number>> {
  const text = (await engine.metrics?.text()) ?? '';
  const found = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    found.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}

describe('the metrics', () => {
  it('count instances by workflow and state, and their ends', async () => {
    for (const workflow of ['good', 'good', 'bad', 'gate']) await run(workflow);
    const found = await samples();
    expect(found.get('vapora_instances_started_total{workflow="good"}')).toBe(2);
    expect(found.get('vapora_instances_ended_total{workflow="good",state="completed"}')).toBe(2);
    expect(found.get('vapora_instances_ended_total{workflow="bad",state="failed"}')).toBe(1);
    expect(found.get('vapora_instances{workflow="gate",state="waiting_approval"}')).toBe(1);
    expect(found.get('vapora_instances{workflow="good",state="active"}') ?? 0).toBe(0);
    expect(found.get('vapora_instance_duration_seconds_count{workflow="good",state="completed"}')).toBe(2);
  });

  it('count stages, attempts and what was taken back', async () => {
    const id = await run('bad');
    const found = await samples();
    expect(
      found.get('vapora_stage_duration_seconds_count{workflow="bad",stage="a",outcome="completed"}'),
    ).toBe(1);
    expect(found.get('vapora_stage_duration_seconds_count{workflow="bad",stage="c",outcome="failed"}')).toBe(
      1,
    );
    expect(found.get('vapora_task_duration_seconds_count{role="fail",kind="execute",outcome="failed"}')).toBe(
      2,
    );
    expect(
      found.get('vapora_task_duration_seconds_count{role="undo",kind="compensate",outcome="completed"}'),
    ).toBe(1);
    expect(found.get('vapora_compensations_dispatched_total{workflow="bad"}')).toBe(3);
    expect(found.get('vapora_compensations_compensated_total{workflow="bad"}')).toBe(1);
    expect(found.get('vapora_compensations_dead_lettered_total{workflow="bad"}')).toBe(1);
    expect(found.get('vapora_inconsistent_seconds_count{workflow="bad"}')).toBe(1);
    expect(found.get('vapora_dead_letters_open')).toBe(1);
    await engine.api.resolveDeadLetter(`${id}/b`, ANN, 'by hand');
    const after = await samples();
    expect(after.get('vapora_dead_letters_open')).toBe(0);
    expect(after.get('vapora_dead_letters_resolved_total{workflow="bad"}')).toBe(1);
  });

  it('show the queue, the agents, the commits, decisions and audit checks', async () => {
    const first = await run('lonely');
    await run('lonely');
    await engine.api.verifyAudit(first);
    const found = await samples();
    expect(found.get('vapora_queue_tasks')).toBe(1);
    expect(found.get('vapora_queue_oldest_seconds')).toBeGreaterThanOrEqual(0);
    expect(found.get('vapora_tasks_in_flight')).toBe(1);
    expect(found.get('vapora_agent_tasks{agent="slow"}')).toBe(1);
    expect(found.get('vapora_agent_capacity{agent="slow"}')).toBe(1);
    expect(found.get('vapora_agent_success_ratio{agent="slow"}')).toBeGreaterThan(0);
    const commits = found.get('vapora_commits_total') ?? 0;
    expect(commits).toBeGreaterThanOrEqual(2);
    expect(found.get('vapora_commit_batch_size_sum')).toBe(commits);
    expect(found.get('vapora_commit_duration_seconds_count')).toBe(found.get('vapora_commit_batches_total'));
    expect(found.get('vapora_authorization_decisions_total{action="start-workflow",effect="allow"}')).toBe(2);
    expect(found.get('vapora_audit_checks_total{result="whole"}')).toBe(1);
    await engine.recover();
    expect((await samples()).get('vapora_recovery_instances')).toBeGreaterThanOrEqual(0);
  });
});

describe('the log', () => {
  it('has one line a transition with the ids it belongs to, and no content', async () => {
    const id = await run('bad');
    const entries = lines.map((line) => JSON.parse(line)).filter(({ instance }) => instance === id);
    const history: string[] = [];
    for await (const event of engine.api.history(id)) history.push(event.type);
    expect(entries.map(({ msg }) => msg)).toEqual(history);
    expect(entries.map(({ seq }) => seq)).toEqual(history.map((_, index) => index + 1));
    expect(entries.find(({ msg }) => msg === 'task_dispatched')).toMatchObject({
      level: 30,
      workflow: 'bad',
      stage: 'a',
      role: 'ok',
      kind: 'execute',
      attempt: 1,
      agent: 'ok',
    });
    expect(entries.find(({ msg }) => msg === 'stage_failed')).toMatchObject({
      stage: 'c',
      code: 'agent_failed',
    });
    expect(lines.join('')).not.toContain('SECRET');
  });

  it('says nothing of transitions at `warn`', async () => {
    const quiet: string[] = [];
    const config = parseConfig(CONFIG, { file: '/nowhere/workflows.toml' }, {});
    const logger = createLogger('warn', { write: (line) => quiet.push(line) });
    const other = await openEngine(config, { agents: [ok], logger, env: {} });
    const { id } = await other.api.start({ workflow: 'good', initiator: ANN });
    await other.api.untilRest(id);
    await other.close();
    expect(quiet.map((line) => JSON.parse(line).msg)).toEqual([
      expect.stringContaining('authorization is off'),
    ]);
    expect(other.metrics).toBeNull();
  });

  it('takes secrets out, at any depth that our lines have', () => {
    const written: string[] = [];
    const log = createLogger('info', { write: (line) => written.push(line) });
    log.info({
      token: 'SECRET',
      request: { headers: { authorization: 'SECRET', 'webhook-signature': 'SECRET' } },
      config: { password: 'SECRET' },
    });
    expect(written.join('')).not.toContain('SECRET');
    expect(written.join('')).toContain('[redacted]');
  });
});
