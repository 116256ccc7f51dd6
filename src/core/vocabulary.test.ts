import { beforeEach, describe, expect, it } from 'vitest';
import { make } from './cases.suite.js';
import { decideCreate } from './decide.js';
import { assert, ERRORS, failure, VaporaError } from './errors.js';
import { recordsOf } from './events.js';
import { applyEntry, evolve } from './evolve.js';
import { findStage, findTask, idempotencyKey, isTerminal } from './instance.js';
import { asInstanceId, type InstanceId, isDigest, isName, MAX_NAME_CHARACTERS } from './names.js';
import { ALLOW, ANN, DENY, digestOf, graph, Scenario, stage, template } from './scenario.suite.js';
import { ancestorsOf } from './template.js';

describe('a name', () => {
  const cases: { text: string; valid: boolean; why: string }[] = [
    { text: 'deploy', valid: true, why: 'letters' },
    { text: 'v1.2_rc-3', valid: true, why: 'digits and marks' },
    { text: 'prüfung', valid: true, why: 'letters of any script' },
    { text: '部署', valid: true, why: 'letters of any script' },
    { text: '__proto__', valid: true, why: 'letters and marks, however unfortunate' },
    { text: '𝒜'.repeat(MAX_NAME_CHARACTERS), valid: true, why: 'characters are counted, not code units' },
    { text: 'a'.repeat(MAX_NAME_CHARACTERS), valid: true, why: 'the longest' },
    { text: 'a'.repeat(MAX_NAME_CHARACTERS + 1), valid: false, why: 'too long' },
    { text: '𝒜'.repeat(MAX_NAME_CHARACTERS + 1), valid: false, why: 'too long' },
    { text: 'a'.repeat(10_000), valid: false, why: 'far too long' },
    { text: '', valid: false, why: 'empty' },
    { text: '.', valid: false, why: 'a path' },
    { text: '..', valid: false, why: 'a path' },
    { text: 'a/b', valid: false, why: 'a path' },
    { text: 'a b', valid: false, why: 'a space' },
    { text: 'a\0', valid: false, why: 'NUL' },
    { text: 'a\n', valid: false, why: 'a line end' },
    { text: 'a;DROP', valid: false, why: 'a statement' },
    { text: '\ud835', valid: false, why: 'half a character' },
  ];
  it.each(cases)('is valid or not: $why, $valid', ({ text, valid }) => {
    expect(isName(text)).toBe(valid);
  });
});

describe('a digest', () => {
  it.each([
    { text: digestOf('x'), valid: true },
    { text: digestOf('x').toUpperCase(), valid: false },
    { text: digestOf('x').slice(1), valid: false },
    { text: `${digestOf('x')}\n`, valid: false },
  ])('is 64 lower-case hex digits: $text', ({ text, valid }) => {
    expect(isDigest(text)).toBe(valid);
  });
});

describe('an error', () => {
  it('says whether the same request may succeed later', () => {
    for (const code of ['store_locked', 'config_invalid'] as const) {
      expect(new VaporaError(code, 'x').isRetryable).toBe(ERRORS[code].retry);
    }
  });

  it('carries its hint, problems and cause where it has them', () => {
    const cause = new Error('below');
    const problems = [{ message: 'p', severity: 'error' }] as const;
    const full = new VaporaError('config_invalid', 'x', { hint: 'h', problems, cause });
    expect([full.hint, full.problems, full.cause, full.name]).toEqual(['h', problems, cause, 'VaporaError']);
    const bare = new VaporaError('config_invalid', 'x');
    expect([bare.hint, bare.problems, 'cause' in bare]).toEqual([undefined, [], false]);
  });

  it('is an assertion where the program is wrong', () => {
    expect(() => assert(false, 'never')).toThrow('assertion failed: never');
    expect(failure('task_failed', 'x')).toEqual({ code: 'task_failed', message: 'x' });
  });
});

describe('a template', () => {
  it('knows what a stage waits for, directly or through others', () => {
    const diamond = graph([
      stage('a'),
      stage('b', { needs: ['a'] }),
      stage('c', { needs: ['a'] }),
      stage('d', { needs: ['b', 'c'] }),
    ]);
    expect([...ancestorsOf(diamond, 'd')].sort()).toEqual(['a', 'b', 'c']);
    expect([...ancestorsOf(diamond, 'a')]).toEqual([]);
    expect(() => ancestorsOf(diamond, 'z')).toThrow('the template has a stage z');
  });
});

describe('an instance', () => {
  let run: Scenario;
  let meta: { readonly id: InstanceId; readonly at: number };
  beforeEach(() => {
    run = new Scenario(template(['a'])).run();
    meta = { id: run.state.id, at: run.now };
  });

  it('tells the states that end it', () => {
    expect((['completed', 'failed', 'cancelled'] as const).every(isTerminal)).toBe(true);
    expect(
      (['draft', 'active', 'waiting_approval', 'blocked', 'compensating'] as const).some(isTerminal),
    ).toBe(false);
  });

  it('finds stages and tasks, or nothing', () => {
    expect(findStage(run.state, 'a')?.name).toBe('a');
    expect(findStage(run.state, 'z')).toBeUndefined();
    expect(findTask(run.state, { stage: 'z', role: 'do-a', kind: 'execute' })).toBeUndefined();
    expect(findTask(run.state, { stage: 'z', role: 'do-a', kind: 'compensate' })).toBeUndefined();
    const at = { stage: 'z', role: 'x', kind: 'execute' } as const;
    expect(() => idempotencyKey(run.state, at)).toThrow('the instance has a stage z');
  });

  it('begins with who started what, and why that was allowed', () => {
    const create = {
      id: asInstanceId('i'),
      input: run.state.input,
      initiator: ANN,
      labels: [['k', 'v']],
      retryOf: null,
    } as const;
    const shape = { ...run.template, timeoutMs: 9_000 };
    const [first, second] = decideCreate(shape, { ...create, decision: ALLOW }, run.moment);
    expect(first).toEqual({
      type: 'workflow_created',
      template: 'ship',
      templateHash: digestOf('ship'),
      input: run.state.input,
      initiator: ANN,
      labels: [['k', 'v']],
      deadlineAt: run.now + 9_000,
      retryOf: null,
      decision: ALLOW,
    });
    expect(second).toEqual({ type: 'workflow_started' });
    expect(() => decideCreate(shape, { ...create, decision: DENY }, run.moment)).toThrow('a denied start');
  });

  it('is created once and first', () => {
    const [first] = run.events;
    if (first === undefined) throw new Error('there are events');
    expect(() => evolve(run.template, run.state, first, meta)).toThrow('an instance is created once');
    expect(() => evolve(run.template, null, { type: 'workflow_started' }, meta)).toThrow(
      'before `workflow_created`',
    );
    const empty = { instance: run.state.id, revision: 1, firstSeq: 1, at: 0, events: [] };
    expect(() => applyEntry(run.template, null, empty)).toThrow('an entry has events');
  });

  it('is the fold of its events, which callers see numbered', () => {
    const entry = { instance: run.state.id, revision: 7, firstSeq: 1, at: run.now, events: run.events };
    const folded = applyEntry(run.template, null, entry);
    expect({ ...folded, revision: run.state.revision }).toEqual(run.state);
    expect(folded.seq).toBe(run.events.length);
    const records = recordsOf(entry);
    expect(records.map((record) => record.seq)).toEqual(run.events.map((_, index) => index + 1));
    expect(records[0]).toMatchObject({ workflow_id: 'wf-1', at: run.now, type: 'workflow_created' });
  });

  it('refuses events that speak of what it has not', () => {
    const at = { stage: 'a', role: 'z', kind: 'execute', attempt: 1 } as const;
    expect(() => evolve(run.template, run.state, { type: 'task_started', ...at }, meta)).toThrow(
      'a task for z',
    );
    const skipped = { type: 'stage_skipped', stage: 'z' } as const;
    expect(() => evolve(run.template, run.state, skipped, meta)).toThrow('a stage z');
    const given = {
      type: 'approval_given',
      stage: 'a',
      by: 'ann',
      comment: null,
      digest: digestOf(''),
    } as const;
    expect(() => evolve(run.template, run.state, given, meta)).toThrow('approval of a was requested');
    const paused = new Scenario(template(['a']), { replies: { 'do-a': ['pause'] } }).run();
    make(paused, { type: 'answer', role: 'do-a', reply: 'retry' });
    const [dispatched] = paused.seen('task_dispatched');
    if (dispatched === undefined) throw new Error('dispatched');
    expect(() => evolve(paused.template, paused.state, dispatched, meta)).toThrow('numbered without gaps');
  });
});
