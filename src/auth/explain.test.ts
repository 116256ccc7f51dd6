import { afterEach, describe, expect, it } from 'vitest';
import { VaporaError } from '../core/errors.js';
import { approve, authorizerOf, cleanUp, executeStage } from './policy-dir.suite.js';
import { parseEntityRef, parsePolicyTest } from './policy-test.js';

afterEach(cleanUp);

const PEOPLE = `@id("ops") permit(principal in Group::"ops", action == Action::"approve-stage", resource == Stage::"deploy");
@id("weekdays") permit(principal, action in [Action::"approve-stage"], resource) when { context.labels.contains("day=work") };
@id("testers") permit(principal in Group::"qa", action == Action::"approve-stage", resource == Stage::"test");
@id("never") forbid(principal == User::"eve", action, resource);
@id("other") permit(principal, action == Action::"reject-stage", resource);`;

describe('explaining a decision', () => {
  it('names the permits that came close, nearest first, and what does not fit', async () => {
    const { authorizer, path } = await authorizerOf({ 'a.cedar': PEOPLE });
    const { decision, nearest, summary } = authorizer.explain(approve('User::"bob"'));
    expect(decision.reason).toBe('no permit matched');
    expect(nearest.map(({ id, mismatch }) => [id, mismatch])).toEqual([
      ['weekdays', []],
      ['ops', ['principal']],
      ['testers', ['principal', 'resource']],
    ]);
    expect(summary).toBe(
      `no permit matched; nearest: \`weekdays\` (${path}/a.cedar:2:1), whose condition is not met; ` +
        `\`ops\` (${path}/a.cedar:1:1), which is for another principal; ` +
        `\`testers\` (${path}/a.cedar:3:1), which is for another principal and another resource`,
    );
  });

  it('says when no permit is about the action at all', async () => {
    const { authorizer } = await authorizerOf({ 'a.cedar': PEOPLE });
    expect(authorizer.explain(executeStage()).summary).toBe(
      'no permit matched; no permit is about `execute-stage`',
    );
  });

  it('adds nothing to a permit, a forbid or a failure', async () => {
    const { authorizer } = await authorizerOf({ 'a.cedar': PEOPLE });
    const summaries = ['User::"bob" in Group::"ops"', 'User::"eve" in Group::"ops"', 'Agent::"x"'].map(
      (who) => authorizer.explain(approve(who)),
    );
    expect(summaries.map(({ nearest }) => nearest)).toEqual([[], [], []]);
    expect(summaries.map(({ summary }) => summary)).toEqual([
      'permitted by `ops`',
      'forbidden by `never`',
      expect.stringMatching(/^evaluation failed: principal type `Agent` is not valid/),
    ]);
  });

  it('warns about policies that can never apply', async () => {
    const { authorizer, path } = await authorizerOf({
      'a.cedar': `${PEOPLE}\npermit(principal is Agent, action == Action::"approve-stage", resource);`,
    });
    expect(authorizer.warnings.map(({ place, severity }) => [place, severity])).toEqual([
      [{ file: `${path}/a.cedar`, line: 6, column: 1 }, 'warning'],
    ]);
  });
});

describe('requests from what people type', () => {
  const typed = { principal: 'User::"ann"', action: 'approve-stage', resource: 'Stage::"deploy"' };
  const errorOf = (call: () => unknown): VaporaError => {
    try {
      call();
    } catch (error) {
      if (error instanceof VaporaError) return error;
      throw error;
    }
    throw new Error('nothing was refused');
  };

  it('read entities with their escapes', () => {
    expect(parseEntityRef('User::"ann"')).toEqual({ type: 'User', id: 'ann' });
    expect(parseEntityRef(' A::B :: "a\\"\\n\\u{1F600}\\x41//" ')).toEqual({ type: 'A::B', id: 'a"\n😀A//' });
    for (const text of [
      '',
      'ann',
      'User::ann',
      'User::"a',
      'User::"a" x',
      '"a"',
      '::"a"',
      'User::"\\q"',
      'User::"\\u{d800}"',
      'User::"a" in Group::"b"',
      `User::"${'x'.repeat(20_000)}"`,
    ]) {
      expect(errorOf(() => parseEntityRef(text)).code).toBe('input_invalid');
    }
  });

  it('take neutral values for what is not given', () => {
    expect(parsePolicyTest({ ...typed, action: 'Action::"approve-stage"' })).toEqual({
      principal: { type: 'User', id: 'ann', groups: [] },
      action: 'approve-stage',
      resource: { type: 'Stage', id: 'deploy', workflow: '' },
      context: {
        initiator: { user: '', groups: [] },
        instance: '',
        attempt: 1,
        labels: {},
        agents: [],
        approvals: [],
        irreversible: false,
        spent: { tokens: 0, microUsd: 0, seconds: 0 },
        budget: { tokens: -1, microUsd: -1, seconds: -1 },
        stageSpent: { tokens: 0, microUsd: 0, seconds: 0 },
        stageBudget: { tokens: -1, microUsd: -1, seconds: -1 },
        sharedSpent: { tokens: 0, microUsd: 0, seconds: 0 },
        sharedBudget: { tokens: -1, microUsd: -1, seconds: -1 },
      },
    });
    const given = { ...typed, context: '{"stage_spent":{"micro_usd":7},"budget":{"tokens":9}}' };
    expect(parsePolicyTest(given).context).toMatchObject({
      stageSpent: { tokens: 0, microUsd: 7, seconds: 0 },
      budget: { tokens: 9, microUsd: -1, seconds: -1 },
    });
    const start = {
      principal: 'User::"ann" in [Group::"a", Group::"b"]',
      action: 'start-workflow',
      resource: 'Workflow::"w"',
    };
    expect(parsePolicyTest(start).context.initiator).toEqual({ user: 'ann', groups: ['a', 'b'] });
  });

  it('refuse what no policy could see', () => {
    const refuse = (change: Partial<typeof typed> & { context?: string }) =>
      errorOf(() => parsePolicyTest({ ...typed, ...change }));
    const unknown = refuse({ context: '{"lables":{}}' });
    expect(unknown.code).toBe('input_invalid');
    expect(unknown.message).toBe('the context is malformed: unknown field `lables`');
    expect(unknown.hint).toContain('labels');
    expect(refuse({ context: '{' }).message).toBe('the context `{` is not JSON');
    expect(refuse({ context: '[]' }).code).toBe('input_invalid');
    expect(refuse({ context: '{"attempt":"1"}' }).message).toMatch(/malformed at `attempt`: /);
    expect(refuse({ context: `{"labels":${'['.repeat(100_000)}` }).code).toBe('input_invalid');
    expect(refuse({ principal: 'Group::"ops"' }).code).toBe('input_invalid');
    expect(refuse({ principal: 'User::"a" in Workflow::"x"' }).code).toBe('input_invalid');
    expect(refuse({ action: 'User::"a"' }).code).toBe('input_invalid');
    expect(refuse({ resource: 'User::"a"' }).code).toBe('input_invalid');
    expect(refuse({ resource: 'Workflow::"a" in Workflow::"b"' }).code).toBe('input_invalid');
  });
});
