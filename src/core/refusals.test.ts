import { describe, expect, it } from 'vitest';
import { type CaseMove, play } from './cases.suite.js';
import { VaporaError } from './errors.js';
import type { WishInput } from './inputs.js';
import { ALLOW, ANN, type Scenario, type Script, START, stage, template } from './scenario.suite.js';
import type { WorkflowTemplate } from './template.js';

type Plain<T> = T extends unknown ? Omit<T, 'by' | 'decision'> : never;

interface Refusal extends Script {
  readonly template: WorkflowTemplate;
  readonly moves?: readonly CaseMove[];
  readonly wish: Plain<WishInput>;
  readonly refused: readonly [code: string, message: string, hint: string | undefined];
}

const DONE = { template: template(['a', 'b']) };
const GATED = { template: template(['a', stage('b', { approvalRequired: true }), 'c']) };
const FINAL = template([stage('a', { irreversible: true }), 'b', stage('c', { approvalRequired: true })]);
const LETTER = {
  template: template(['a', 'b']),
  replies: { 'do-b': ['fail'], 'undo-a': ['fail'] },
} as const;
const TAKING_BACK = {
  template: template(['a', 'b']),
  replies: { 'do-b': ['fail'], 'undo-a': ['pause'] },
} as const;

const approve = (name: string, digest: string | null = null) =>
  ({ type: 'approve', stage: name, comment: null, digest }) as const;
const ended = (verb: string) =>
  [
    'instance_ended',
    `instance \`wf-1\` is completed, so it can't be ${verb}`,
    'what has ended never changes again; only its dead letters can still be worked off',
  ] as const;
const takenBack = (verb: string) =>
  [
    'not_rollbackable',
    `instance \`wf-1\` is being taken back already, so it can't be ${verb}`,
    'work off its dead letters, if it has any',
  ] as const;
const passed = (hint: string) =>
  [
    'point_of_no_return',
    'stage `a` is irreversible and was dispatched: instance `wf-1` only goes forward or stops',
    hint,
  ] as const;

const REFUSALS: Record<string, Refusal> = {
  'an approval of a stage that is not there, with those that are': {
    ...GATED,
    wish: approve('z'),
    refused: ['stage_unknown', 'instance `wf-1` has no stage `z`', 'its stages are `a`, `b`, `c`'],
  },
  'an approval after the end': { ...DONE, wish: approve('b'), refused: ended('approved or rejected') },
  'a rejection after the end': {
    ...DONE,
    wish: { type: 'reject', stage: 'b', reason: 'no' },
    refused: ended('approved or rejected'),
  },
  'a cancel after the end': {
    ...DONE,
    wish: { type: 'cancel', compensate: true },
    refused: ended('cancelled'),
  },
  'a rollback after the end': {
    ...DONE,
    wish: { type: 'rollback', to: null },
    refused: ended('rolled back'),
  },
  'an approval of a stage that waits for none': {
    ...GATED,
    wish: approve('c'),
    refused: ['not_waiting', 'stage `c` is pending, not waiting for an approval', undefined],
  },
  'an approval of what was approved, with who did': {
    template: template([stage('a', { approvalRequired: true }), stage('b', { approvalRequired: true })]),
    moves: [approve('a')],
    wish: approve('a'),
    refused: [
      'not_waiting',
      'stage `a` is completed (approved by `ann`), not waiting for an approval',
      undefined,
    ],
  },
  'an approval of what silence has approved': {
    template: template([
      stage('a', { approvalRequired: true, approvalTimeoutMs: 1_000, onApprovalTimeout: 'approve' }),
      stage('b', { approvalRequired: true }),
    ]),
    moves: [{ type: 'wait' }],
    wish: approve('a'),
    refused: [
      'not_waiting',
      'stage `a` is completed (approved by `its time limit`), not waiting for an approval',
      undefined,
    ],
  },
  'an approval of something else than what is there': {
    ...GATED,
    wish: approve('b', 'f'.repeat(64)),
    refused: [
      'approval_drifted',
      'what is to be approved for stage `b` has changed since it was looked at',
      'look at it again, then approve that',
    ],
  },
  'a cancel of what is taken back': {
    ...TAKING_BACK,
    wish: { type: 'cancel', compensate: true },
    refused: takenBack('cancelled'),
  },
  'a rollback of what is taken back': {
    ...TAKING_BACK,
    wish: { type: 'rollback', to: null },
    refused: takenBack('rolled back'),
  },
  'a retry of what is taken back': { ...TAKING_BACK, wish: { type: 'retry' }, refused: takenBack('retried') },
  'a retry where a letter is in the way of going on': {
    template: template(['x', 'a', stage('b', { approvalRequired: true })]),
    replies: { 'undo-a': ['fail'] },
    moves: [{ type: 'rollback', to: 'x' }],
    wish: { type: 'retry' },
    refused: takenBack('retried'),
  },
  'a retry of what has not failed': {
    ...GATED,
    wish: { type: 'retry' },
    refused: ['not_retryable', 'instance `wf-1` is waiting_approval: nothing in it has failed', undefined],
  },
  'a rollback to a stage that is not completed': {
    ...GATED,
    wish: { type: 'rollback', to: 'b' },
    refused: [
      'not_rollbackable',
      'stage `b` is waiting_approval, so there is nothing to go back to',
      'name a completed stage: it stays, what came after it is taken back and runs again',
    ],
  },
  'a cancel behind a point of no return': {
    template: FINAL,
    wish: { type: 'cancel', compensate: true },
    refused: passed('add `--no-compensate` to stop it as it is'),
  },
  'a whole rollback behind a point of no return': {
    template: FINAL,
    wish: { type: 'rollback', to: null },
    refused: passed('roll back to that stage or a later one'),
  },
  'a letter that there is not': {
    ...LETTER,
    wish: { type: 'retry_letter', stage: 'b' },
    refused: ['dead_letter_unknown', 'there is no dead letter `wf-1/b`', undefined],
  },
  'a letter that is resolved': {
    ...LETTER,
    moves: [{ type: 'resolve_letter', stage: 'a', reason: 'by hand' }],
    wish: { type: 'retry_letter', stage: 'a' },
    refused: ['letter_closed', 'dead letter `wf-1/a` is resolved already', undefined],
  },
  'a letter that was taken back on a retry': {
    ...LETTER,
    moves: [{ type: 'retry_letter', stage: 'a' }],
    wish: { type: 'resolve_letter', stage: 'a', reason: 'by hand' },
    refused: ['letter_closed', 'dead letter `wf-1/a` is compensated already', undefined],
  },
  'a letter that is being retried': {
    ...LETTER,
    replies: { 'do-b': ['fail'], 'undo-a': ['fail', 'pause'] },
    moves: [{ type: 'retry_letter', stage: 'a' }],
    wish: { type: 'resolve_letter', stage: 'a', reason: 'by hand' },
    refused: ['letter_closed', 'dead letter `wf-1/a` is running already', undefined],
  },
};

function refusalOf(run: Scenario, wish: Plain<WishInput>): unknown[] {
  const before = run.state;
  try {
    run.send({ ...wish, by: ANN, decision: ALLOW });
  } catch (error) {
    if (!(error instanceof VaporaError)) throw error;
    expect(run.state).toBe(before);
    return [error.code, error.message, error.hint];
  }
  return ['granted'];
}

describe('a wish that can not be granted is refused with what is there and what to do:', () => {
  it.each(Object.entries(REFUSALS))('%s', (_, item) => {
    expect(refusalOf(play(item), item.wish)).toEqual([...item.refused]);
  });
});

describe('a wish that is granted', () => {
  it('keeps who it was, what they said and what they looked at', () => {
    const run = play(GATED);
    run.send({ ...approve('b'), comment: 'fine', by: ANN, decision: ALLOW });
    expect(run.seen('action_authorized').at(-1)).toMatchObject({ action: 'approve-stage', by: ANN });
    expect(run.seen('approval_given')).toMatchObject([{ stage: 'b', by: 'ann', comment: 'fine' }]);
    expect(run.seen('approval_given')[0]?.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('says in the error of the instance who rejected it, and why', () => {
    const run = play({ ...GATED, moves: [{ type: 'reject', stage: 'b', reason: 'not like this' }] });
    expect(run.seen('approval_rejected')).toMatchObject([{ stage: 'b', by: 'ann', reason: 'not like this' }]);
    expect(run.state.error).toEqual({
      code: 'approval_rejected',
      message: expect.stringContaining('rejected by `ann`: not like this'),
    });
  });

  it('says who cancelled it, and who rolled it back', () => {
    const cancelled = play({ ...GATED, moves: [{ type: 'cancel', compensate: true }] });
    expect(cancelled.state.rollback?.cause).toEqual({ code: 'cancelled', message: 'cancelled by `ann`' });
    expect(cancelled.state.rollback?.target).toEqual({ end: 'cancelled' });
    const bare = play({ ...GATED, moves: [{ type: 'cancel', compensate: false }] });
    expect(bare.seen('compensation_planned')[0]?.entries).toEqual([
      { stage: 'a', skip: 'cancelled without compensation' },
    ]);
    const back = play({ ...GATED, moves: [{ type: 'rollback', to: null }] });
    expect(back.state.rollback?.cause).toEqual({ code: 'rolled_back', message: 'rolled back by `ann`' });
    expect(back.state.rollback?.target).toEqual({ end: 'cancelled' });
    expect(bare.state.rollback?.target).toEqual({ end: 'cancelled' });
  });

  /** `b` has failed behind a point of no return. */
  const halted = (timeoutMs: number | null) =>
    play({
      template: template([stage('a', { irreversible: true }), 'b'], { timeoutMs }),
      replies: { 'do-b': ['fail'] },
    });
  const granted = (run: Scenario, wish: Plain<WishInput>) =>
    run.send({ ...wish, by: ANN, decision: ALLOW }).map((event) => event.type);

  it('retries what has failed and nothing else', () => {
    const run = halted(null);
    expect(granted(run, { type: 'retry' }).slice(0, 3)).toEqual([
      'action_authorized',
      'workflow_resumed',
      'stage_reset',
    ]);
    expect(run.seen('stage_reset')).toMatchObject([{ stage: 'b' }]);
    expect(run.seen('stage_unblocked')).toEqual([]);
    expect(run.seen('workflow_resumed')).toMatchObject([{ deadlineAt: null }]);
  });

  it.each([
    ['is kept while it is to come', 59_999, 60_000],
    ['is put off by the whole limit once it has come', 60_000, 120_000],
  ])('of a retry: the deadline of the instance %s', (_, passedMs, expectedMs) => {
    const run = halted(60_000);
    run.now = START + passedMs;
    granted(run, { type: 'retry' });
    expect(run.seen('workflow_resumed')).toMatchObject([{ deadlineAt: START + expectedMs }]);
  });

  it('to resume looks at nothing that only a retry helps', () => {
    expect(granted(halted(null), { type: 'resume' })).toEqual(['action_authorized']);
  });
});
