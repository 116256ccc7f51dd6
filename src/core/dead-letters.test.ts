import { describe, expect, it } from 'vitest';
import { type Case, make, play, stagesOf, testCases } from './cases.suite.js';
import { deadLettersOf, findTask, isLive } from './instance.js';
import { Scenario, stage, template } from './scenario.suite.js';

/** `b` can't be taken back at first: its letter stays after the end. */
const LETTER = {
  template: template(['a', 'b', 'c']),
  replies: { 'do-c': ['fail'], 'undo-b': ['retry', 'retry'] },
} as const;

const CASES: Case[] = [
  {
    name: 'is retried after the end, with attempts that number on',
    ...LETTER,
    moves: [{ type: 'retry_letter', stage: 'b' }],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/compensated c:failed/skipped',
      undone: 'a b',
      dispatched: 'do-a#1 do-b#1 do-c#1 undo-b#1 undo-b#2 undo-a#1 undo-b#3',
    },
  },
  {
    name: 'comes back when the retry fails too, with attempts counted anew',
    ...LETTER,
    replies: { 'do-c': ['fail'], 'undo-b': ['retry', 'retry', 'retry', 'retry'] },
    moves: [{ type: 'retry_letter', stage: 'b' }],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/dead_lettered c:failed/skipped',
      dispatched: 'do-a#1 do-b#1 do-c#1 undo-b#1 undo-b#2 undo-a#1 undo-b#3 undo-b#4',
    },
  },
  {
    name: 'is resolved by hand with a reason',
    ...LETTER,
    moves: [{ type: 'resolve_letter', stage: 'b', reason: 'deleted it myself' }],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/resolved c:failed/skipped',
      skips: { b: 'deleted it myself' },
    },
  },
  {
    name: 'is closed once resolved',
    ...LETTER,
    moves: [
      { type: 'resolve_letter', stage: 'b', reason: 'by hand' },
      { type: 'retry_letter', stage: 'b', refused: 'letter_closed' },
      { type: 'resolve_letter', stage: 'b', reason: 'again', refused: 'letter_closed' },
      { type: 'retry_letter', stage: 'a', refused: 'letter_closed' },
    ],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/resolved c:failed/skipped',
    },
  },
  {
    name: 'is unknown for a stage that has none',
    ...LETTER,
    moves: [
      { type: 'retry_letter', stage: 'c', refused: 'dead_letter_unknown' },
      { type: 'retry_letter', stage: 'z', refused: 'stage_unknown' },
    ],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/dead_lettered c:failed/skipped',
    },
  },
  {
    name: 'stays as it is when policy denies its retry',
    ...LETTER,
    moves: [{ type: 'retry_letter', stage: 'b', denied: true }],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:completed/dead_lettered c:failed/skipped',
    },
  },
  {
    name: 'goes on with the role that failed, not with those that were done',
    template: template([stage('a', { compensationAgents: ['p', 'q', 'r'] }), 'b']),
    replies: { 'do-b': ['fail'], q: ['fail'] },
    moves: [{ type: 'retry_letter', stage: 'a' }],
    expect: {
      status: 'failed',
      stages: 'a:completed/compensated b:failed/skipped',
      dispatched: 'do-a#1 do-b#1 p#1 q#1 q#2 r#1',
    },
  },
];

describe('a dead letter', () => {
  testCases(CASES);

  it('keeps the idempotency key and the steps of its attempts', () => {
    const run = new Scenario(template(['a', 'b']), {
      replies: { 'do-b': ['fail'], 'undo-a': ['pause'] },
    }).run();
    const at = { stage: 'a', role: 'undo-a', kind: 'compensate' } as const;
    run.send({ type: 'step', ...at, attempt: 1, result: { name: 'drain', value: 7 } });
    run.answer('undo-a', 'fail');
    expect(deadLettersOf(run.state).map((item) => item.name)).toEqual(['a']);
    expect(isLive(run.state)).toBe(false);
    make(run, { type: 'retry_letter', stage: 'a' });
    expect(isLive(run.state)).toBe(true);
    expect(findTask(run.state, at)?.steps).toEqual([{ name: 'drain', value: 7 }]);
    run.run();
    expect(isLive(run.state)).toBe(false);
    const keys = run.seen('task_dispatched').filter((event) => event.kind === 'compensate');
    expect(new Set(keys.map((event) => event.idempotencyKey))).toEqual(new Set(['wf-1/a/undo-a/compensate']));
  });

  it('can be retried while the rest is still being taken back', () => {
    const run = play({
      template: template(['a', 'b', 'c']),
      replies: { 'do-c': ['fail'], 'undo-b': ['fail'], 'undo-a': ['pause'] },
      moves: [
        { type: 'retry_letter', stage: 'b' },
        { type: 'answer', role: 'undo-a', reply: 'ok' },
      ],
    });
    expect(run.state.status).toBe('failed');
    expect(stagesOf(run.state)).toBe('a:completed/compensated b:completed/compensated c:failed/skipped');
  });
});
