import { describe, expect, it } from 'vitest';
import type { StageState, WorkflowInstance } from '../core/instance.js';
import { asDigest, asInstanceId } from '../core/names.js';
import { worstExit } from './commands/resume.js';
import { exitOfEnding, exitOfRest } from './drive.js';
import { pictureLines } from './live-view.js';
import { NO_COLORS } from './palette.js';
import { showLines } from './show-lines.js';
import { nextSteps, summaryLines } from './summary.js';
import { width } from './text.js';

function stage(name: string, more: Partial<StageState> = {}): StageState {
  return {
    name,
    status: 'completed',
    run: 1,
    approval: null,
    permits: [],
    block: null,
    startedAt: 0,
    endedAt: 1_200,
    deadlineAt: null,
    completion: 1,
    tasks: [],
    error: null,
    compensation: { status: 'none', tasks: [], reason: null, endedAt: null },
    spent: { tokens: 0, microUsd: 0, ms: 0 },
    grants: 0,
    ...more,
  };
}

const digest = asDigest('0'.repeat(64));

function instance(more: Partial<WorkflowInstance>): WorkflowInstance {
  return {
    id: asInstanceId('r1'),
    templateName: 'release',
    templateHash: digest,
    status: 'completed',
    revision: 1,
    seq: 1,
    input: { digest, size: 2 },
    initiator: { user: 'ann', groups: [] },
    labels: [],
    createdAt: 0,
    updatedAt: 0,
    endedAt: 3_000,
    deadlineAt: null,
    error: null,
    stages: [],
    completions: 0,
    rollback: null,
    retryOf: null,
    grants: 0,
    ...more,
  };
}

const compensation = (status: StageState['compensation']['status']) => ({
  compensation: { status, tasks: [], reason: null, endedAt: null },
});
const failure = { code: 'task_failed', message: 'it broke' } as const;
const failed = stage('smoke-test', { status: 'failed', error: failure });
const plan = { target: { end: 'failed' }, cause: failure, plannedAt: 0, order: [] } as const;

const HALTED = {
  failed: instance({
    status: 'failed',
    error: failure,
    rollback: plan,
    stages: [
      stage('build', compensation('compensated')),
      failed,
      stage('beside', { status: 'failed', error: { code: 'stage_aborted', message: 'aborted' } }),
    ],
  }),
  letter: instance({
    status: 'failed',
    error: failure,
    rollback: plan,
    stages: [stage('build', compensation('dead_lettered')), failed],
  }),
  waiting: instance({
    status: 'waiting_approval',
    endedAt: null,
    stages: [stage('deploy', { status: 'waiting_approval' })],
  }),
  blocked: instance({
    status: 'blocked',
    endedAt: null,
    stages: [stage('deploy', { status: 'pending', block: { code: 'denied', message: 'forbidden by `x`' } })],
  }),
  stuck: instance({
    status: 'blocked',
    endedAt: null,
    stages: [
      stage('tell', { status: 'failed', block: { code: 'point_of_no_return', message: 'no way back' } }),
    ],
  }),
};

describe('the summary', () => {
  it('says what happened, where and why', () => {
    expect(summaryLines(HALTED.failed, NO_COLORS).slice(0, 2)).toEqual([
      '✗ release r1 failed at smoke-test in 3.0s; 1 stage taken back, 0 dead letters',
      '  it broke',
    ]);
    expect(summaryLines(HALTED.letter, NO_COLORS)[0]).toContain('0 stages taken back, 1 dead letter');
    expect(summaryLines(HALTED.waiting, NO_COLORS)[0]).toBe('? release r1 waits for an approval of deploy');
    expect(summaryLines(HALTED.blocked, NO_COLORS).slice(0, 2)).toEqual([
      '! release r1 is blocked at deploy',
      '  forbidden by `x`',
    ]);
    expect(summaryLines(instance({}), NO_COLORS)).toEqual([
      '✓ release r1 completed in 3.0s',
      '  → vapora show r1',
    ]);
  });

  it('says what can be done next', () => {
    const first = (given: WorkflowInstance) => nextSteps(given)[0];
    expect(first(HALTED.failed)).toContain('vapora retry r1');
    expect(first(HALTED.letter)).toContain('vapora dead-letters retry r1/build');
    expect(first(HALTED.waiting)).toContain('vapora approve r1 deploy');
    expect(first(HALTED.blocked)).toContain('vapora resume r1');
    expect(first(HALTED.stuck)).toContain('vapora retry r1');
    expect(nextSteps(HALTED.stuck)[1]).toContain('--no-compensate');
  });
});

describe('an instance in full', () => {
  const shown = (given: WorkflowInstance) =>
    showLines({ instance: given, artifacts: [], denials: new Map(), now: 0 }, NO_COLORS);

  it('calls a blocked stage blocked', () => {
    expect(shown(HALTED.blocked).find((line) => line.startsWith('! deploy'))).toMatch(/^! deploy +blocked/);
  });

  it('says what models have used, where they have', () => {
    const used = { spent: { tokens: 1_100, microUsd: 3_000, ms: 9 } };
    const lines = shown(instance({ stages: [stage('a', used), stage('b', used)] }));
    expect(lines.find((line) => line.includes('used'))).toMatch(/^ *used +2200 tokens, 0\.0060 USD$/);
    expect(shown(instance({})).join('\n')).not.toContain('used');
  });

  it('does not advise to look at what is being looked at', () => {
    expect(shown(HALTED.failed).at(-1)).toBe('  vapora retry r1, to run it again from there');
    expect(shown(instance({})).join('\n')).not.toContain('next');
  });

  it('lists in columns what was taken back', () => {
    const names = ['a', 'build'];
    const stages = names.map((name) => stage(name, compensation('compensated')));
    const lines = shown(instance({ rollback: { ...plan, order: names }, stages }));
    expect(lines).toContain('  a      taken back');
    expect(lines).toContain('  build  taken back');
  });
});

describe('exit codes', () => {
  it('follow from how the instance came to rest', () => {
    expect([instance({}), ...Object.values(HALTED)].map(exitOfRest)).toEqual([0, 1, 1, 4, 3, 3]);
    expect(exitOfRest(instance({ status: 'cancelled' }))).toBe(1);
  });

  it('of an ending are 0 only where nothing is left to clear up', () => {
    expect(Object.values(HALTED).map(exitOfEnding)).toEqual([0, 1, 1, 3, 3]);
  });

  it('of many are the worst', () => {
    expect(worstExit([])).toBe(0);
    expect(worstExit([0, 4, 3])).toBe(3);
    expect(worstExit([0, 4, 3, 1])).toBe(1);
    expect(worstExit([1, 5])).toBe(5);
  });
});

describe('a frame of the live view', () => {
  const picture = { progress: new Map(), now: 5_000, columns: 40, rows: 10 };
  const linesOf = (given: WorkflowInstance) => pictureLines({ ...picture, instance: given }, NO_COLORS);

  it('marks a stage that is blocked as that', () => {
    expect(linesOf(HALTED.blocked)[1]).toMatch(/^ {2}! deploy .*forbidden by `x`$/);
  });

  it('says first why a stage failed, then what became of it', () => {
    const kept = { status: 'skipped', tasks: [], reason: 'names no agents', endedAt: 0 } as const;
    const [, line] = linesOf(instance({ stages: [{ ...failed, compensation: kept }] }));
    expect(line).toMatch(/ {2}it broke · /);
  });

  it('fits the terminal, whatever it has to show', () => {
    const stages = Array.from({ length: 50 }, (_, index) =>
      stage(`stage-with-a-long-name-部署-${index}`, {
        status: index < 20 ? 'completed' : index === 20 ? 'failed' : 'pending',
        error: index === 20 ? { code: 'task_failed', message: 'x'.repeat(500) } : null,
      }),
    );
    const lines = pictureLines({ ...picture, instance: instance({ status: 'active', stages }) }, NO_COLORS);
    expect(lines.length).toBeLessThanOrEqual(picture.rows - 1);
    for (const line of lines) expect(width(line)).toBeLessThanOrEqual(picture.columns);
    // the stage at which things are is in view
    expect(lines.join('\n')).toMatch(/✗ stage-with/);
    expect(lines[1]).toMatch(/… \d+ before/);
    expect(lines.at(-1)).toMatch(/… \d+ more/);
  });
});
