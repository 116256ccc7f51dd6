import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Decision } from '../core/instance.js';
import type { AuthorizationRequest } from '../core/ports.js';
import { type CompiledSet, compile, textsById } from './compile.js';
import { callCedar } from './engine.js';
import { Sight } from './lean.js';
import { directoryOf } from './load.js';
import { executeStage } from './policy-dir.suite.js';
import { PolicySet, toDecision } from './policy-set.js';
import { refusalOf, toCedar } from './request.js';

const made: PolicySet[] = [];
afterEach(() => {
  for (const set of made.splice(0)) set.release();
});

/** Null where the policies are refused. */
function compiledOf(policies: string, others: Readonly<Record<string, string>> = {}): CompiledSet | null {
  const files = Object.entries({ 'a.cedar': policies, ...others });
  return compile(
    directoryOf(
      'policies',
      files.map(([name, text]) => ({ name, text })),
    ),
  ).set;
}

function setOf(policies: string, others: Readonly<Record<string, string>> = {}): PolicySet {
  const compiled = compiledOf(policies, others);
  if (compiled === null) throw new Error('the policies are refused');
  const set = new PolicySet(compiled);
  made.push(set);
  return set;
}

/** What Cedar says to the whole request, checked against the schema. */
function theLongWay({ compiled }: PolicySet, request: AuthorizationRequest): Decision {
  const answer = callCedar((cedar) =>
    cedar.isAuthorized({
      ...toCedar(request, compiled.entities),
      schema: compiled.schema,
      validateRequest: true,
      policies: { staticPolicies: textsById(compiled.policies) },
    }),
  );
  return toDecision(answer, compiled.digest);
}

const ENTITIES = JSON.stringify([
  { uid: { type: 'User', id: 'ann' }, parents: [{ type: 'Group', id: 'ops' }] },
  { uid: { type: 'Agent', id: 'ann' }, parents: [{ type: 'Group', id: 'deployers' }] },
  { uid: { type: 'Group', id: 'ops' }, parents: [{ type: 'Group', id: 'staff' }] },
  { uid: { type: 'User', id: '__proto__' }, parents: [{ type: 'Group', id: 'staff' }] },
]);

const PRINCIPALS = [
  'principal',
  'principal == Orchestrator::"vapora-orchestrator"',
  'principal in Group::"ops"',
  'principal in Group::"staff"',
  'principal is User in Group::"staff"',
  'principal == User::"ann"',
  'principal is Agent',
];
const ACTIONS = [
  'action',
  'action == Action::"execute-stage"',
  'action in [Action::"approve-stage", Action::"read-workflow", Action::"start-workflow"]',
  'action == Action::"register-agent"',
  'action == Action::"pass-point-of-no-return"',
];
const RESOURCES = [
  'resource',
  'resource in Workflow::"release"',
  'resource == Stage::"deploy"',
  'resource is Instance',
];
// Some fail in evaluation, for some requests or for all.
const CONDITIONS = [
  'true',
  'context.attempt + 9223372036854775807 > 0',
  'context.attempt * 4611686018427387904 > 0 && context.irreversible',
  'context.spent.tokens + 9223372036854775807 > 0',
  'Workflow::"nowhere".name == "nowhere"',
  'Stage::"deploy".workflow == Workflow::"release"',
  'context.labels.contains("env=prod")',
  'context["labels"].containsAny(["__proto__=x", "a=\\"", "😀=\\0"])',
  'context has instance && context.instance like "in*"',
  'context.instance like "a\\*"',
  'context["\\u{73}pent"].tokens == 0',
  'context.budget == context.stage_budget',
  'context.shared_spent.seconds < context.shared_budget.seconds',
  'context.stage_spent.micro_usd > 5',
  '[context].contains(context)',
  '{ all: context }.all.attempt == 1',
  'context // all of it\n.agents.contains("deployer")',
  'context.agents.isEmpty()',
  'context.approvals.contains({ stage: "deploy", by: User::"ann" })',
  'context.initiator in Group::"staff"',
  'context.initiator == principal',
  'principal in [Group::"ops", Group::"deployers"]',
  'User::"ann" in Group::"staff"',
  'User::"bob" in Group::"ops"',
  'resource.name == "deploy"',
  'resource has name && resource has workflow',
  'resource.workflow.name like "rel*"',
  'resource["workflow"] == Workflow::"release"',
  'if context.irreversible then context.attempt > 1 else context.agents.contains("deployer")',
];

/** Those of all policies of these parts that Cedar lets through: not every condition fits every scope. */
function policyPool(): readonly string[] {
  const pool: string[] = [];
  let at = 0;
  for (const condition of CONDITIONS) {
    for (const action of ACTIONS) {
      at++;
      const principal = PRINCIPALS[at % PRINCIPALS.length];
      const resource = RESOURCES[at % RESOURCES.length];
      const effect = at % 3 === 0 ? 'forbid' : 'permit';
      const clause = at % 4 === 0 ? 'unless' : 'when';
      const policy = `${effect}(${principal}, ${action}, ${resource}) ${clause} { ${condition} };`;
      if (compiledOf(policy) !== null) pool.push(policy);
    }
  }
  return pool;
}

const text = fc.constantFrom(
  'ann',
  'bob',
  'deploy',
  'release',
  '',
  '__proto__',
  '__entity',
  '"',
  '\0',
  '😀',
  '\ud800',
  'x'.repeat(1_025),
);
const common = fc.constantFrom('ann', 'bob', 'deploy', 'release', 'instance-1', '__proto__', '😀"\\');
const name = fc.oneof({ weight: 99, arbitrary: common }, { weight: 1, arbitrary: text });
const groups = fc.array(fc.oneof(fc.constantFrom('ops', 'staff', 'deployers'), name), { maxLength: 3 });
const amount = fc.oneof(
  { weight: 200, arbitrary: fc.constantFrom(-1, 0, -0, 1, 7, Number.MAX_SAFE_INTEGER) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, 0.5, 2 ** 53) },
);
const amounts = fc.record({ tokens: amount, microUsd: amount, seconds: amount });
const resource = fc.oneof(
  fc.record({ type: fc.constantFrom('Stage' as const, 'Instance' as const), id: name, workflow: name }),
  fc.record({ type: fc.constantFrom('Workflow' as const, 'Engine' as const), id: name }),
);
const action = fc.constantFrom(
  'execute-stage',
  'pass-point-of-no-return',
  'approve-stage',
  'read-workflow',
  'start-workflow',
  'register-agent',
  'make-backup',
  'no-such-action',
  '__proto__',
);
const ORCHESTRATOR = { type: 'Orchestrator', id: 'vapora-orchestrator', groups: [] } as const;
const principal = fc.oneof(
  fc.constant(ORCHESTRATOR),
  fc.record({
    type: fc.constantFrom('User' as const, 'Agent' as const, 'Orchestrator' as const),
    id: name,
    groups,
  }),
);
const label = fc.constantFrom(...Array(9).fill('env'), 'a', '__proto__', '😀', 'k=v');
const context = fc.record({
  initiator: fc.record({ user: name, groups }),
  instance: name,
  attempt: amount,
  labels: fc.dictionary(label, fc.constantFrom('prod', 'x', '"', '\0'), { maxKeys: 3 }),
  agents: fc.array(fc.oneof(fc.constant('deployer'), name), { maxLength: 2 }),
  approvals: fc.array(fc.record({ stage: name, by: name }), { maxLength: 2 }),
  irreversible: fc.boolean(),
  spent: amounts,
  budget: amounts,
  stageSpent: amounts,
  stageBudget: amounts,
  sharedSpent: amounts,
  sharedBudget: amounts,
});
/** As the engine asks, mostly; the rest is what nobody should ask. */
const request: fc.Arbitrary<AuthorizationRequest> = fc
  .tuple(fc.record({ principal, action, resource, context }), fc.boolean(), common, common)
  .map(([any, asTheEngine, id, workflow]) =>
    asTheEngine
      ? {
          ...any,
          principal: ORCHESTRATOR,
          action: 'execute-stage',
          resource: { type: 'Stage', id, workflow },
        }
      : any,
  );

describe('a reduced request', () => {
  it('is decided as the whole one is, whatever the policies and whoever asks', () => {
    const pool = policyPool();
    expect(pool.length).toBeGreaterThan(60);
    const seen = { allow: 0, deny: 0, failed: 0, refused: 0 };
    // Mostly with one that permits everything: the others would seldom allow anything.
    const policies = fc
      .array(fc.constantFrom(...pool), { maxLength: 5 })
      .map((some) => [...some, 'permit(principal, action, resource);'].slice(0, 5));
    const property = fc.property(
      policies,
      fc.array(request, { minLength: 10, maxLength: 25 }),
      (some, asked) => {
        const set = setOf(some.join('\n'), { 'entities.json': ENTITIES });
        for (const each of asked) {
          const decision = set.decide(each);
          if (refusalOf(each) === null) {
            expect(decision).toEqual(theLongWay(set, each));
            seen[decision.errors.length > 0 ? 'failed' : decision.effect]++;
          } else {
            expect(decision.effect).toBe('deny');
            seen.refused++;
          }
        }
        set.release();
      },
    );
    fc.assert(property, { numRuns: 60 });
    // It would prove little if nearly all were denied for one reason.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(10);
  });

  it('is denied where a client has put in what is none of its types', () => {
    const set = setOf('permit(principal, action, resource);');
    const odd: [string, Record<string, unknown>][] = [
      ['a number as an agent', { agents: [1] }],
      ['a record as an agent', { agents: [{ __entity: { type: 'User', id: 'ann' } }] }],
      ['a text as irreversible', { irreversible: 'no' }],
      ['nothing as irreversible', { irreversible: undefined }],
      ['a number as the instance', { instance: 7 }],
      ['an entity as the instance', { instance: { __entity: { type: 'User', id: 'ann' } } }],
      ['an approval by a number', { approvals: [{ stage: 'a', by: 1 }] }],
      ['nobody as the initiator', { initiator: { groups: [] } }],
      ['a text as an amount', { spent: { tokens: '1', microUsd: 0, seconds: 0 } }],
    ];
    expect(set.decide(executeStage()).effect).toBe('allow');
    for (const [what, fields] of odd) {
      const asked = executeStage();
      const broken = { ...asked, context: { ...asked.context, ...fields } } as AuthorizationRequest;
      expect([what, set.decide(broken).effect]).toEqual([what, 'deny']);
    }
  });
});

describe('what policies can look at', () => {
  const reduced = (policies: string, asked: AuthorizationRequest, others = {}) => {
    const { compiled } = setOf(policies, others);
    return new Sight(compiled).reduce(asked, toCedar(asked, compiled.entities));
  };
  const fieldsOf = (policies: string) => {
    const lean = reduced(policies, executeStage());
    return lean === null ? null : Object.keys(lean.context).sort();
  };
  const when = (condition: string) =>
    `permit(principal, action == Action::"execute-stage", resource) when { ${condition} };`;
  const ALL = Object.keys(toCedar(executeStage(), setOf(when('true')).compiled.entities).context).sort();

  it('is what they name, in whatever way', () => {
    expect(fieldsOf(when('true'))).toEqual([]);
    expect(fieldsOf(when('context.spent.tokens > 1'))).toEqual(['spent']);
    expect(fieldsOf(when('context["spent"].tokens > 1 || context has budget'))).toEqual(['budget', 'spent']);
    expect(fieldsOf(when('context["s\\u{70}ent"].tokens > 1'))).toEqual(['spent']);
  });

  it('is everything where the context is taken as a whole, or a text can not be read', () => {
    expect(ALL).toHaveLength(13);
    expect(fieldsOf(when('[context].contains(context)'))).toEqual(ALL);
    expect(fieldsOf(when('context == context'))).toEqual(ALL);
    expect(fieldsOf(when('context.instance like "a\\*"'))).toEqual(ALL);
  });

  it('is no entity of which nothing is said that they could see', () => {
    const inWorkflow = { type: 'Workflow', id: 'release' };
    const stage = { uid: { type: 'Stage', id: 'deploy' }, attrs: {}, parents: [inWorkflow] };
    expect(reduced(when('true'), executeStage())?.entities).toEqual([stage]);
    expect(reduced(when('resource.name == "deploy"'), executeStage())?.entities).toEqual([
      { uid: inWorkflow, attrs: { name: 'release' }, parents: [] },
      { ...stage, attrs: { name: 'deploy' } },
    ]);
  });

  it('is left to the schema where the directory has one of its own, which may mean other things by the same names', () => {
    expect(reduced(when('true'), executeStage(), { 'a.cedarschema': 'entity Machine;' })).toBeNull();
    const set = setOf(when('true'), { 'a.cedarschema': 'type User = { name: String };' });
    expect(set.decide(executeStage())).toMatchObject({ effect: 'deny', errors: [expect.any(String)] });
  });

  it('is left to the schema where who, what and on what do not belong together', () => {
    const asked = executeStage();
    const others: Partial<AuthorizationRequest>[] = [
      { action: 'approve-stage' },
      { action: 'constructor' },
      { resource: { type: 'Workflow', id: 'release' } },
      { principal: { type: 'User', id: 'ann', groups: [] } },
      { principal: { type: 'Orchestrator', id: 'vapora-orchestrator', groups: ['ops'] } },
    ];
    for (const other of others) {
      const { compiled } = setOf('permit(principal, action, resource);');
      const wrong = { ...asked, ...other };
      expect([other, new Sight(compiled).reduce(wrong, toCedar(wrong, compiled.entities))]).toEqual([
        other,
        null,
      ]);
    }
  });
});
