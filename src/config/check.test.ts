import { describe, expect, it } from 'vitest';
import { checkWorkflows } from './check.js';
import { parseConfig } from './load.js';
import { formatProblem } from './report.js';

const agents = '[[agents]]\nname = "a"\nroles = ["work", "undo"]\ncommand = ["x"]\n';
const guarded = '[engine]\ncedar_policy_dir = "policies"\n';
const check = (text: string, moreRoles: string[] = []) =>
  checkWorkflows(parseConfig(text, { file: 'workflows.toml' }, {}), moreRoles);
const formatted = (...args: Parameters<typeof check>) => check(...args).map(formatProblem);
const stages = (...bodies: string[]) =>
  `[[workflows]]\nname = "w"\nstages = [\n${bodies.map((body) => `  { agents = ["work"], ${body} },`).join('\n')}\n]\n`;

describe('checkWorkflows', () => {
  it('has nothing to say about a workflow that can be taken back, served and guarded', () => {
    const text = stages('name = "a", compensation_agents = ["undo"]', 'name = "b"');
    expect(formatted(guarded + agents + text)).toEqual([]);
  });

  it('warns of stages without undo after which another can fail', () => {
    const text = stages('name = "a"', 'name = "b", compensation_agents = ["undo"]', 'name = "c"');
    expect(formatted(guarded + agents + text)).toEqual([
      "workflows.toml:10:3: stage `a` can't be taken back, and stages `b`, `c` can still fail after it (name `compensation_agents`, or leave it if the stage only reads)",
    ]);
  });

  it('counts stages that run side by side as able to fail', () => {
    const text = stages('name = "a"', 'name = "b", needs = [], compensation_agents = ["undo"]');
    expect(formatted(guarded + agents + text)).toEqual([
      expect.stringContaining("stage `a` can't be taken back, and stage `b` can still fail after it"),
    ]);
  });

  it('asks for no undo where only stages past a point of no return follow', () => {
    const text = stages('name = "a", irreversible = true', 'name = "b"', 'name = "c"');
    const problems = formatted(guarded + agents + text);
    expect(problems).toEqual([
      "workflows.toml:10:51: irreversible stage `a` can't be taken back once it is dispatched, and stages `b`, `c` can still fail beside or after it (let it need the stages that can fail)",
    ]);
  });

  it('accepts a point of no return at the end', () => {
    const text = stages('name = "a", compensation_agents = ["undo"]', 'name = "b", irreversible = true');
    expect(formatted(guarded + agents + text)).toEqual([]);
  });

  it('warns of a point of no return that the mere passing of time approves', () => {
    const gate = 'name = "a", irreversible = true, approval_required = true, approval_timeout = 60';
    expect(formatted(guarded + agents + stages(`${gate}, on_approval_timeout = "approve"`))).toEqual([
      expect.stringMatching(
        /^workflows\.toml:10:\d+: irreversible stage `a` is approved by nobody when its approval times out/,
      ),
    ]);
    expect(formatted(guarded + agents + stages(`${gate}, on_approval_timeout = "reject"`))).toEqual([]);
  });

  it('warns of compensation agents that a point of no return never uses', () => {
    const text = stages('name = "a", irreversible = true, compensation_agents = ["undo"]');
    expect(formatted(guarded + agents + text)).toEqual([
      'workflows.toml:10:79: `compensation_agents` of irreversible stage `a` are never used',
    ]);
  });

  it('finds roles that no agent serves, as errors, once each', () => {
    const text = stages('name = "a", compensation_agents = ["undoo"]', 'name = "b"').replace(
      '["work"]',
      '["wrok"]',
    );
    expect(check(guarded + agents + text)).toEqual([
      {
        message: 'stage `a` names unknown agent role `wrok`',
        severity: 'error',
        path: 'workflows[0].stages[0].agents[0]',
        place: { file: 'workflows.toml', line: 10, column: 15 },
        hint: 'did you mean `work`?',
      },
      {
        message: 'stage `a` names unknown compensation agent role `undoo`',
        severity: 'error',
        path: 'workflows[0].stages[0].compensation_agents[0]',
        place: { file: 'workflows.toml', line: 10, column: 59 },
        hint: 'did you mean `undo`?',
      },
    ]);
    expect(check(guarded + agents + text, ['wrok', 'undoo'])).toEqual([]);
  });

  it('points at stages as written where needs reorder them', () => {
    const text = stages('name = "b", needs = ["a"]', 'name = "a", needs = []');
    expect(check(guarded + agents + text).map(({ path, place }) => [path, place?.line])).toEqual([
      ['workflows[0].stages[1]', 11],
    ]);
  });

  it('says that authorization is off, that there are no agents, and what the configuration warned of', () => {
    const text = `[engine]\napproval_gates_enabled = false\n${stages('name = "a", approval_required = true')}`;
    expect(formatted(text)).toEqual([
      'workflows.toml:2:26: approval gates are off: `w/a` will run without approval',
      'workflows.toml:1:1: authorization is off: without policies everybody may do everything (set `cedar_policy_dir` in `[engine]`)',
      'workflows.toml:1:1: there are no agents: every role has to be served by agents that a program registers',
    ]);
  });

  it('is quick with a thousand stages', () => {
    const many = Array.from(
      { length: 1_000 },
      (_, index) => `name = "s${index}", irreversible = ${index > 500}`,
    );
    const started = performance.now();
    expect(check(guarded + agents + stages(...many))).toHaveLength(1_000 - 1);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
