import { describe, expect, it } from 'vitest';
import { chainProblems, MAX_CHAIN, type Trigger } from './trigger.js';

function afterEnd(workflow: string): Trigger {
  return { kind: 'workflow', workflow, states: ['completed'], initiator: null };
}

function problemsOf(triggers: Readonly<Record<string, 'manual' | Trigger>>) {
  const entries = Object.entries(triggers).map(([name, trigger]) => [name, { name, trigger }] as const);
  return Object.fromEntries(chainProblems(new Map(entries)));
}

describe('workflows that start each other', () => {
  it('may stand in a chain', () => {
    expect(problemsOf({ build: 'manual', test: afterEnd('build'), ship: afterEnd('test') })).toEqual({});
  });

  it('need a workflow that is there', () => {
    expect(problemsOf({ test: afterEnd('biuld') })).toEqual({ test: { code: 'unknown', trail: ['biuld'] } });
  });

  it('may not come back to where they began, and whoever only hangs on the circle is not blamed', () => {
    expect(
      problemsOf({ a: afterEnd('b'), b: afterEnd('a'), c: afterEnd('a'), self: afterEnd('self') }),
    ).toEqual({
      a: { code: 'circle', trail: ['a', 'b', 'a'] },
      b: { code: 'circle', trail: ['b', 'a', 'b'] },
      self: { code: 'circle', trail: ['self', 'self'] },
    });
  });

  it(`are ${MAX_CHAIN} at most`, () => {
    const names = Array.from({ length: MAX_CHAIN + 1 }, (_, index) => `w${index}`);
    const triggers = Object.fromEntries(
      names.map((name, index) => [name, index === 0 ? ('manual' as const) : afterEnd(`w${index - 1}`)]),
    );
    expect(problemsOf(triggers)).toMatchObject({ [`w${MAX_CHAIN}`]: { code: 'long' } });
    expect(Object.keys(problemsOf(triggers))).toEqual([`w${MAX_CHAIN}`]);
  });
});
