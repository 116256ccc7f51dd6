import { describe, expect, it } from 'vitest';
import { type Accounts, check } from './check.js';
import type { Fact, FactEvent } from './facts.js';
import type { LedgerLine, Mark } from './ledger.js';
import { WORKLOADS } from './workload.js';

const saga = WORKLOADS.find(({ name }) => name === 'cancelled');
const line = (mark: Mark, place: string, attempt = 1): LedgerLine => ({ mark, key: `i1/${place}`, attempt });
const attempt = (place: string, number = 1): LedgerLine[] =>
  (['b', 'e', 'd'] as const).map((mark) => line(mark, place, number));
const event = (type: string, stage: string, kind: 'execute' | 'compensate' = 'execute'): FactEvent => ({
  type,
  stage,
  role: 'work',
  kind,
  attempt: 1,
});
const task = (stage: string, kind: 'execute' | 'compensate' = 'execute'): FactEvent[] => [
  event('task_dispatched', stage, kind),
  event('task_completed', stage, kind),
];

const EVENTS: readonly FactEvent[] = [
  ...task('one'),
  { type: 'stage_completed', stage: 'one' },
  ...task('two'),
  { type: 'stage_completed', stage: 'two' },
  ...task('two', 'compensate'),
  { type: 'stage_compensated', stage: 'two' },
  ...task('one', 'compensate'),
  { type: 'stage_compensated', stage: 'one' },
];
const FACT: Fact = {
  id: 'i1',
  workflow: 'cancelled',
  status: 'cancelled',
  broken: null,
  events: EVENTS,
  head: '',
};
const LEDGER: readonly LedgerLine[] = [
  'one/work/execute',
  'two/work/execute',
  'two/work/compensate',
  'one/work/compensate',
].flatMap((place) => attempt(place));

function found(more: Partial<Accounts>): string[] {
  const accounts: Accounts = {
    notes: [
      ['started', 'i1'],
      ['cancelled', 'i1'],
      ['ended', 'i1', 'cancelled'],
    ],
    ledger: LEDGER,
    facts: [FACT],
    workloadOf: () => {
      if (saga === undefined) throw new Error('there is such a workload');
      return saga;
    },
    sagaParallelism: 1,
    ...more,
  };
  return check(accounts).map(({ fault, message }) => `${fault}: ${message}`);
}

const fact = (more: Partial<Fact>): Partial<Accounts> => ({ facts: [{ ...FACT, ...more }] });
const withoutEvents = (isMeant: (event: FactEvent) => boolean) =>
  fact({ events: EVENTS.filter((known) => !isMeant(known)) });

describe('the check of a run', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(found({})).toEqual([]);
  });

  it('finds an acknowledged start that is gone', () => {
    expect(found({ facts: [], ledger: [] })).toContain('loss: acknowledged as started, and not in the store');
    expect(found({ facts: [], notes: [] })).toEqual([
      'loss: agents worked for it, and it is not in the store',
    ]);
  });

  it('finds an end that has changed, is none or is the wrong one', () => {
    expect(found(fact({ status: 'failed' }))).toContain(
      'loss: acknowledged as ended, cancelled, and now failed',
    );
    expect(found({ ...fact({ status: 'active' }), notes: [] })).toContain('loss: ended as active');
    expect(found(fact({ workflow: 'saga' }))).toContain('loss: runs saga, not cancelled');
  });

  it('finds a wish that was granted and forgotten', () => {
    expect(found({ notes: [['approved', 'i1']] })).toEqual([
      'loss: acknowledged as approved, and its history shows no approval_given',
    ]);
    expect(
      found({ ...fact({ status: 'completed', events: EVENTS.slice(0, 6) }), notes: [['cancelled', 'i1']] }),
    ).toContain('loss: acknowledged as cancelled, and completed');
  });

  it('finds a broken chain', () => {
    expect(found(fact({ broken: 'revision 3: content does not match its hash' }))).toEqual([
      'chain: revision 3: content does not match its hash',
    ]);
  });

  it('finds an attempt after the one that completed', () => {
    const again = { ...event('task_dispatched', 'one'), attempt: 2 };
    const both = {
      ...fact({ events: [...EVENTS, again] }),
      ledger: [...LEDGER, line('b', 'one/work/execute', 2)],
    };
    expect(found(both)).toContain('double: i1/one/work/execute: attempt 2 after 1 had completed');
  });

  it('finds attempts side by side, twice, without a dispatch, and effects that happened twice', () => {
    const place = 'one/work/execute';
    const [began, acted, done] = attempt(place);
    if (began === undefined || acted === undefined || done === undefined) throw new Error('three lines');
    const mixed = [began, line('b', place, 2), acted, done, ...LEDGER.slice(3)];
    expect(found({ ledger: mixed })).toContain(`double: i1/${place}: attempt 1 went on after 2 had begun`);
    expect(found({ ledger: mixed })).toContain(`double: i1/${place}: attempt 2 is not in the history`);
    expect(found({ ledger: [began, ...LEDGER] })).toContain(`double: i1/${place}: attempt 1 began twice`);
    expect(found({ ledger: [...LEDGER, acted] })).toContain(
      `double: i1/${place}: had its effect more than once`,
    );
  });

  it('finds a completion without an agent', () => {
    expect(found({ ledger: LEDGER.slice(3) })).toEqual([
      'loss: i1/one/work/execute completed without its agent',
    ]);
  });

  it('finds what was not taken back, taken back twice, or in another order', () => {
    const isUndoOfOne = ({ type, stage }: FactEvent) => type === 'stage_compensated' && stage === 'one';
    expect(found(withoutEvents(isUndoOfOne))).toEqual(['loss: one has 0 times stage_compensated']);
    const twice = fact({ events: [...EVENTS, { type: 'stage_compensated', stage: 'one' }] });
    expect(found(twice)).toEqual(['double: one has 2 times stage_compensated']);
    const turned = [...LEDGER.slice(0, 6), ...LEDGER.slice(9), ...LEDGER.slice(6, 9)];
    expect(found({ ledger: turned })).toEqual(['order: one was taken back before two was']);
    // side by side only where neither builds upon the other
    expect(found({ ledger: turned, sagaParallelism: 2 })).toEqual([
      'order: one was taken back before two was',
    ]);
    expect(found({ ledger: LEDGER.slice(0, 9) })).toContain('loss: nobody took one back');
    expect(found({ ...fact({ status: 'completed' }), notes: [] })).toContain(
      'double: two,one was taken back and should not have been',
    );
  });
});
