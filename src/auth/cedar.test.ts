import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../core/ports.js';
import { AllowAllAuthorizer } from './allow-all.js';
import { CedarAuthorizer } from './cedar.js';
import { CedarTrap, callCedar, cedarGeneration, slotCount } from './engine.js';
import { approve, authorizerOf, cleanUp, executeStage, refusalOf } from './policy-dir.suite.js';

afterEach(cleanUp);

const ALL = 'permit(principal, action, resource);';
const UP_TO_3 = '@id("few") permit(principal, action, resource) when { context.attempt <= 3 };';

/** Drives the evaluator into the ground, as a policy with 2,000 parentheses does. */
const breakEvaluator = () => {
  const text = `permit(principal, action, resource) when { ${'('.repeat(2_000)}true${')'.repeat(2_000)} };`;
  callCedar((cedar) => cedar.checkParsePolicySet({ staticPolicies: { a: text } }));
};

describe('long conditions', () => {
  it.each(['&&', '||'])(
    'of 200 clauses joined by %s work, and go on working once the code is optimized',
    async (by) => {
      const clause = by === '&&' ? 'context.attempt != ' : 'context.attempt == ';
      const text = Array.from({ length: 200 }, (_, at) => clause + (at + 1)).join(` ${by} `);
      const { authorizer } = await authorizerOf({
        'a.cedar': `permit(principal, action, resource) when { ${text} };`,
      });
      const before = cedarGeneration();
      for (let attempt = 1; attempt <= 400; attempt++) {
        const isListed = attempt <= 200;
        const effect = isListed === (by === '||') ? 'allow' : 'deny';
        const decision = authorizer.authorize(executeStage({ attempt }));
        expect({ attempt, effect: decision.effect, errors: decision.errors }).toEqual({
          attempt,
          effect,
          errors: [],
        });
      }
      expect(cedarGeneration()).toBe(before);
    },
  );

  it('of 3,000 clauses still work', async () => {
    const text = Array(3_000).fill('context.attempt == 1').join(' && ');
    const { authorizer } = await authorizerOf({
      'a.cedar': `permit(principal, action, resource) when { ${text} };`,
    });
    expect(authorizer.authorize(executeStage()).effect).toBe('allow');
  });
});

describe('requests that can not be judged', () => {
  const hostile: [string, AuthorizationRequest][] = [
    ['a lone surrogate as the initiator', executeStage({ initiator: '\ud800' })],
    ['a lone surrogate as the principal', approve('User::"a"')],
    ['a lone surrogate in a label', executeStage({ labels: { a: 'x\udc00' } })],
    ['a lone surrogate in an approval', executeStage({ approvals: [{ stage: 's', by: '\ud800' }] })],
    ['an id of 1,025 characters', executeStage({ instance: 'x'.repeat(1_025) })],
    ['257 groups', executeStage({ initiator: { user: 'a', groups: Array.from({ length: 257 }, String) } })],
    ['257 agents', executeStage({ agents: Array.from({ length: 257 }, String) })],
    ['a label key with `=`', executeStage({ labels: { 'a=b': 'c' } })],
    [
      'an attempt that is no number',
      { ...executeStage(), context: { ...executeStage().context, attempt: Number.NaN } },
    ],
  ];
  it.each(hostile)('are denied without the evaluator: %s', async (name, request) => {
    const { authorizer } = await authorizerOf({ 'a.cedar': ALL });
    const before = cedarGeneration();
    const principal = {
      ...request.principal,
      id: name.endsWith('principal') ? '\ud800' : request.principal.id,
    };
    const decision = authorizer.authorize({ ...request, principal });
    expect(decision).toMatchObject({ effect: 'deny', policies: [], policySet: authorizer.policySet });
    expect(decision.reason).toMatch(/^evaluation failed: the request has /);
    expect(decision.errors).toHaveLength(1);
    expect(cedarGeneration()).toBe(before);
    expect(authorizer.authorize(executeStage()).effect).toBe('allow');
  });

  it('are still judged with whole surrogate pairs, NUL and 256 labels', async () => {
    const { authorizer } = await authorizerOf({ 'a.cedar': ALL });
    const labels = Object.fromEntries(Array.from({ length: 256 }, (_, at) => [`k${at}`, '\0😀']));
    expect(authorizer.authorize(executeStage({ initiator: '😀\0', labels })).effect).toBe('allow');
  });

  it('are denied where they are not even a request', async () => {
    const { authorizer } = await authorizerOf({ 'a.cedar': ALL });
    const broken: AuthorizationRequest = JSON.parse('{"principal":{}}');
    expect(authorizer.authorize(broken).effect).toBe('deny');
  });
});

describe('an evaluator that breaks', () => {
  it('is replaced, and every authorizer goes on', async () => {
    const few = (await authorizerOf({ 'a.cedar': UP_TO_3 })).authorizer;
    const all = (await authorizerOf({ 'a.cedar': ALL })).authorizer;
    expect(few.authorize(executeStage({ attempt: 9 })).effect).toBe('deny');
    const before = cedarGeneration();
    expect(breakEvaluator).toThrow(CedarTrap);
    expect(few.authorize(executeStage({ attempt: 2 })).policies).toEqual(['few']);
    expect(few.authorize(executeStage({ attempt: 4 })).reason).toBe('no permit matched');
    expect(all.authorize(executeStage({ attempt: 4 })).policies).toEqual(['a.cedar#1']);
    expect(cedarGeneration()).toBe(before + 1);
  });

  it('in a decision denies that one, does not remember it, and answers the same request later', async () => {
    const { authorizer } = await authorizerOf({ 'a.cedar': UP_TO_3 });
    const seen: string[] = [];
    let step = 0;
    // Near the end of the machine's stack the evaluator throws: asked on the way back from there, it fails first and then answers.
    const descend = (): void => {
      try {
        descend();
      } catch {
        // The end of the stack.
      }
      // Not on every step, as each failure costs a new evaluator.
      step++;
      if (step % 64 === 0 && seen.at(-1) !== 'allow') {
        try {
          const { effect, reason } = authorizer.authorize(executeStage({ attempt: 2 }));
          seen.push(effect === 'allow' ? effect : reason);
        } catch {
          // Too near for any code at all.
        }
      }
    };
    descend();
    expect(seen.at(-1)).toBe('allow');
    expect(seen.some((reason) => reason.startsWith('evaluation failed: '))).toBe(true);
    expect(authorizer.authorize(executeStage({ attempt: 3 })).effect).toBe('allow');
  });
});

describe('remembered decisions', () => {
  it('equal fresh ones, and lists are sets', async () => {
    const files = { 'a.cedar': `${UP_TO_3} permit(principal in Group::"ops", action, resource);` };
    const { authorizer } = await authorizerOf(files);
    const { authorizer: fresh } = await authorizerOf(files);
    const requests = [
      executeStage({ attempt: 2 }),
      executeStage({ attempt: 4 }),
      approve('User::"a" in Group::"ops"'),
    ];
    for (const request of requests) {
      const first = authorizer.authorize(request);
      expect(authorizer.authorize(request)).toBe(first);
      expect(fresh.authorize(request)).toEqual(first);
    }
    const one = authorizer.authorize(executeStage({ agents: ['a', 'b'], labels: { x: '1', y: '2' } }));
    expect(authorizer.authorize(executeStage({ agents: ['b', 'a'], labels: { y: '2', x: '1' } }))).toBe(one);
  });

  it('belong to the whole request where a policy looks at all of it', async () => {
    const whole = 'permit (principal, action, resource) when { context == context };';
    const { authorizer } = await authorizerOf({ 'a.cedar': whole });
    const base = executeStage();
    const { context } = base;
    const variants: AuthorizationRequest[] = [
      base,
      approve('User::"vapora-orchestrator"'),
      { ...base, action: 'pass-point-of-no-return' },
      { ...base, principal: { ...base.principal, id: 'x' } },
      { ...base, resource: { type: 'Stage', id: 'x', workflow: 'release' } },
      { ...base, resource: { type: 'Stage', id: 'deploy', workflow: 'x' } },
      { ...base, context: { ...context, initiator: { user: 'x', groups: [] } } },
      { ...base, context: { ...context, initiator: { user: '', groups: ['x'] } } },
      { ...base, context: { ...context, instance: 'x' } },
      { ...base, context: { ...context, attempt: 2 } },
      { ...base, context: { ...context, irreversible: true } },
      { ...base, context: { ...context, labels: { x: '' } } },
      { ...base, context: { ...context, agents: ['x='] } },
      { ...base, context: { ...context, approvals: [{ stage: 'x', by: '' }] } },
    ];
    expect(new Set(variants.map((request) => authorizer.authorize(request))).size).toBe(variants.length);
  });
});

describe('reload', () => {
  it('puts the new set in force and forgets what was remembered', async () => {
    const { authorizer, path } = await authorizerOf({ 'a.cedar': ALL });
    const before = authorizer.policySet;
    expect(authorizer.authorize(executeStage()).effect).toBe('allow');
    await writeFile(join(path, 'b.cedar'), '@id("stop") forbid(principal, action, resource);');
    await authorizer.reload();
    expect(authorizer.authorize(executeStage())).toMatchObject({ effect: 'deny', policies: ['stop'] });
    expect(authorizer.policySet).not.toBe(before);
    expect(authorizer.authorize(executeStage()).policySet).toBe(authorizer.policySet);
    await rm(join(path, 'b.cedar'));
    await authorizer.reload();
    expect(authorizer.policySet).toBe(before);
  });

  it('of a bad set leaves the old one in force and says so', async () => {
    const { authorizer, path } = await authorizerOf({ 'a.cedar': ALL });
    const before = authorizer.policySet;
    await writeFile(join(path, 'b.cedar'), 'forbid(principal, action, resource) when { context.nope };');
    expect((await refusalOf(authorizer.reload())).code).toBe('policy_invalid');
    expect((await refusalOf(authorizer.reload(join(path, 'gone')))).code).toBe('policy_invalid');
    expect(authorizer.path).toBe(path);
    expect(authorizer.policySet).toBe(before);
    expect(authorizer.describe()).toHaveLength(1);
    expect(authorizer.authorize(executeStage({ attempt: 7 })).effect).toBe('allow');
    await writeFile(join(path, 'b.cedar'), 'forbid(principal, action, resource);');
    await authorizer.reload();
    expect(authorizer.authorize(executeStage({ attempt: 7 })).effect).toBe('deny');
  });

  it('many times over, by many authorizers, does not take ever more of the evaluator', async () => {
    const { authorizer, path } = await authorizerOf({ 'a.cedar': ALL });
    const other = await CedarAuthorizer.loadFromDir(path);
    await authorizer.reload();
    const before = slotCount();
    await Promise.all(Array.from({ length: 10 }, () => authorizer.reload()));
    for (let round = 0; round < 10; round++) (await CedarAuthorizer.loadFromDir(path)).close();
    await Promise.allSettled(Array.from({ length: 5 }, () => authorizer.reload('/nowhere')));
    other.close();
    expect(slotCount()).toBe(before);
    expect(authorizer.authorize(executeStage()).effect).toBe('allow');
  });

  it('does not change the sets of others', async () => {
    const one = await authorizerOf({ 'a.cedar': ALL });
    const two = await authorizerOf({ 'a.cedar': 'forbid(principal, action, resource);' });
    one.authorizer.close();
    one.authorizer.close();
    const three = await authorizerOf({ 'a.cedar': UP_TO_3 });
    await two.authorizer.reload();
    expect(two.authorizer.authorize(executeStage()).policies).toEqual(['a.cedar#1']);
    expect(three.authorizer.authorize(executeStage()).policies).toEqual(['few']);
    expect(one.authorizer.authorize(executeStage())).toMatchObject({
      effect: 'deny',
      reason: 'evaluation failed: the policy set is closed',
    });
  });
});

describe('the hash of the set', () => {
  it('changes with policies, ids, schema and people, and with nothing else', async () => {
    const hashOf = async (files: Record<string, string>) => (await authorizerOf(files)).authorizer.policySet;
    const base = { 'a.cedar': `@id("x") ${ALL}` };
    const ann = { uid: { type: 'User', id: 'ann' }, parents: [] };
    const bob = { parents: [], uid: { id: 'bob', type: 'User' }, attrs: {} };
    const hash = await hashOf(base);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf({ 'b.cedar': `// moved\n@id("x") ${ALL}` })).toBe(hash);
    const others = [
      await hashOf({ 'a.cedar': ALL }),
      await hashOf({ 'a.cedar': UP_TO_3 }),
      await hashOf({ ...base, 'a.cedarschema': 'entity Team;' }),
      await hashOf({ ...base, 'entities.json': JSON.stringify([ann]) }),
    ];
    expect(new Set([hash, ...others]).size).toBe(5);
    expect(await hashOf({ ...base, 'entities.json': JSON.stringify([ann, bob]) })).toBe(
      await hashOf({ ...base, 'entities.json': JSON.stringify([bob, ann]) }),
    );
  });
});

describe('people', () => {
  it('by the thousands do not make a decision slow, and those that policies name are in view', async () => {
    const people = Array.from({ length: 10_000 }, (_, at) => ({
      uid: { type: 'User', id: `u${at}` },
      parents: [{ type: 'Group', id: `g${at % 100}` }],
    }));
    const { authorizer } = await authorizerOf({
      'a.cedar': 'permit(principal in Group::"g7", action, resource) when { User::"u8" in Group::"g8" };',
      'entities.json': JSON.stringify(people),
    });
    const start = performance.now();
    for (let at = 0; at < 100; at++) {
      expect(authorizer.authorize(approve(`User::"u${at}"`)).effect).toBe(at === 7 ? 'allow' : 'deny');
    }
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe('without policies', () => {
  it('everything is allowed, and each decision says so', () => {
    const authorizer = new AllowAllAuthorizer();
    expect(authorizer.isEnforcing).toBe(false);
    expect(authorizer.authorize(executeStage())).toEqual({
      effect: 'allow',
      policies: [],
      reason: 'no policies: allow-all',
      errors: [],
      policySet: null,
    });
  });
});
