import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VaporaError } from '../core/errors.js';
import { parseConfig } from './load.js';
import { expectPlaces } from './places.suite.js';

const parse = (text: string) => parseConfig(text, { file: 'workflows.toml' }, {});

describe('any text', () => {
  const snippets = [
    '[engine]',
    '[[workflows]]',
    '[[workflows.stages]]',
    '[[agents]]',
    'name = "a"',
    'agents = ["r"]',
    'needs = ["a"]',
    '__proto__ = { a = 1 }',
    'limits.max_stages = 2',
    'x = 2026-01-01',
    'y = """',
    "z = '''",
    '\0',
    '\uD800',
    'a.b.c = [{}, []]',
    'retry = { factor = inf }',
    '=',
    '{',
    ']',
    '\r',
    '# ☃',
    'name = -0',
    '[[a.b]]',
    '[a]',
    'a = [1, "x", [2]]',
  ];
  const lines = fc.array(
    fc.oneof(fc.constantFrom(...snippets), fc.string({ unit: 'binary', maxLength: 20 })),
  );

  it('is accepted or refused with problems, never crashed on', () => {
    const check = (text: string) => {
      try {
        parse(text);
      } catch (error) {
        expect(error).toBeInstanceOf(VaporaError);
        if (!(error instanceof VaporaError)) return;
        expect(error.problems.length).toBeGreaterThan(0);
        expectPlaces(text, error.problems);
      }
    };
    fc.assert(
      fc.property(lines, fc.constantFrom('\n', ' ', ''), (parts, joint) => check(parts.join(joint))),
      {
        numRuns: 2_000,
      },
    );
  });

  it('round-trips where it is a valid configuration', () => {
    const name = fc
      .stringMatching(/^[\p{L}\p{Nd}._-]{1,20}$/u)
      .filter((text) => text !== '.' && text !== '..');
    const stage = fc.record({
      name,
      agents: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
      timeout: fc.integer({ min: 1, max: 1_000 }),
    });
    const workflow = fc.record({
      name,
      stages: fc.uniqueArray(stage, { minLength: 1, maxLength: 5, selector: (one) => one.name }),
    });
    const workflows = fc.uniqueArray(workflow, { maxLength: 4, selector: (one) => one.name });
    fc.assert(
      fc.property(workflows, (written) => {
        const text = written.map(
          (one) => `[[workflows]]\nname = ${JSON.stringify(one.name)}\n${one.stages.map(stageText).join('')}`,
        );
        const read = [...parse(text.join('')).templates.values()];
        const stagesOf = read.map(({ name, stages }) => ({
          name,
          stages: stages.map((one) => ({
            name: one.name,
            agents: one.agents,
            timeout: (one.timeoutMs ?? 0) / 1_000,
          })),
        }));
        expect(stagesOf).toEqual(written);
      }),
      { numRuns: 200 },
    );
  });
});

function stageText(stage: { name: string; agents: string[]; timeout: number }): string {
  return `[[workflows.stages]]\nname = ${JSON.stringify(stage.name)}\nagents = ${JSON.stringify(stage.agents)}\ntimeout = ${stage.timeout}\n`;
}
