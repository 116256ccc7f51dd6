/** What is remembered by what the policies look at is what they would say to the whole request. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { AuthorizationRequest } from '../core/ports.js';
import { readRequest } from '../engine/requests.js';
import { type CompiledSet, compile } from './compile.js';
import { directoryOf } from './load.js';
import { PolicySet } from './policy-set.js';

const open: PolicySet[] = [];
afterEach(() => {
  for (const set of open.splice(0)) set.release();
});

function compiled(text: string, entities: unknown[] = []): CompiledSet {
  const files = [
    { name: 'all.cedar', text },
    { name: 'entities.json', text: JSON.stringify(entities) },
  ];
  const { set, problems } = compile(directoryOf('test', files));
  if (set === null) throw new Error(JSON.stringify(problems));
  return set;
}

function setOf(text: string, entities: unknown[] = []): PolicySet {
  const set = new PolicySet(compiled(text, entities));
  open.push(set);
  return set;
}

const IDS = ['i1', 'i2', 'i3'];
const PEOPLE = ['ann', 'bob', 'cy'];
const GROUPS = ['ops', 'staff', 'dev'];
const LABELS = ['a=1', 'b=2', 'c=3'];
const WORKFLOWS = ['deploy', 'test'];

/** Each looks at the request another way, some by a way around. */
const CONDITIONS = [
  'true',
  'context.initiator == principal',
  'principal != context.initiator',
  'context.initiator == User::"ann"',
  'context.initiator in Group::"ops"',
  'context.initiator in [Group::"staff", Group::"dev"]',
  '[User::"ann", User::"bob"].contains(context.initiator)',
  'principal in Group::"ops"',
  'principal is User in Group::"dev"',
  'User::"ann" in Group::"ops"',
  'resource == Instance::"i1"',
  'Instance::"i2" != resource',
  'resource is Instance in Workflow::"deploy"',
  'resource in Workflow::"deploy"',
  'resource in [Workflow::"deploy", Workflow::"test"]',
  'resource in Instance::"i1"',
  '[Instance::"i1"].contains(resource)',
  'resource.name == "i2"',
  'resource.name like "*1"',
  'resource has name',
  'resource.workflow == Workflow::"deploy"',
  'resource.workflow.name == "deploy"',
  'Instance::"i1" in Workflow::"deploy"',
  'Instance::"i1" has workflow',
  '{ it: resource }.it == Instance::"i1"',
  '{ it: context.initiator }.it in Group::"ops"',
  '(if context.attempt > 1 then context.initiator else principal) in Group::"ops"',
  'context.instance == "i1"',
  'context has instance && context.instance like "i*"',
  'context.labels.contains("a=1")',
  'context.labels.contains(context.instance)',
  'context.labels.containsAny(["a=1", "b=2"])',
  'context.labels.containsAll(["b=2", "c=3"])',
  'context.labels.isEmpty()',
  'context.labels == ["a=1"]',
  '["a=1", "c=3"].containsAll(context.labels)',
  'context.attempt > 1',
  'context.irreversible',
  'context.agents.contains("a=1")',
  'context.approvals.contains({ stage: "s", by: principal })',
  'context.spent.tokens > 10',
  'context.budget == { tokens: 10, micro_usd: 0, seconds: 0 }',
  // fails where there is much of it
  'context.spent.tokens * 4611686018427387904 == 0',
  'User::"ann" == principal',
];

const condition = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...CONDITIONS),
    tie('any').map((one) => `!(${one})`),
    fc
      .tuple(tie('any'), fc.constantFrom('&&', '||'), tie('any'))
      .map(([one, op, two]) => `(${one}) ${op} (${two})`),
  ),
})).any;

const policy = fc
  .record({
    effect: fc.constantFrom('permit', 'permit', 'forbid'),
    principal: fc.constantFrom(
      'principal',
      'principal == User::"ann"',
      'principal in Group::"ops"',
      'principal is User',
    ),
    resource: fc.constantFrom(
      'resource',
      'resource',
      'resource == Instance::"i1"',
      'resource in Workflow::"deploy"',
      'resource is Instance in Workflow::"test"',
    ),
    body: condition,
  })
  .map(
    ({ effect, principal, resource, body }) =>
      `${effect} (${principal}, action == Action::"read-workflow", ${resource}) when { ${body} };`,
  );

const amounts = fc.record({
  tokens: fc.constantFrom(0, 5, 20),
  microUsd: fc.constant(0),
  seconds: fc.constant(0),
});
const person = fc.record({ user: fc.constantFrom(...PEOPLE), groups: fc.subarray(GROUPS) });
const request = fc
  .record({
    by: person,
    initiator: person,
    id: fc.constantFrom(...IDS),
    workflow: fc.constantFrom(...WORKFLOWS),
    labels: fc.subarray(LABELS),
    agents: fc.subarray(LABELS),
    attempt: fc.constantFrom(1, 2),
    irreversible: fc.boolean(),
    approvals: fc.subarray(PEOPLE).map((people) => people.map((by) => ({ stage: 's', by }))),
    spent: amounts,
    budget: amounts,
  })
  .map(({ by, initiator, id, workflow, labels, ...rest }): AuthorizationRequest => {
    const entries = labels.map((label) => label.split('=') as [string, string]);
    const asked = read(by, id, workflow, initiator, Object.fromEntries(entries));
    return { ...asked, context: { ...asked.context, ...rest } };
  });

type Person = { readonly user: string; readonly groups: readonly string[] };

function read(
  by: Person,
  id: string,
  workflow: string,
  initiator: Person,
  labels: Readonly<Record<string, string>>,
): AuthorizationRequest {
  const { user, groups } = initiator;
  const summary = { id, template: workflow, initiator: user, initiatorGroups: groups, labels };
  return readRequest(by, summary as unknown as Parameters<typeof readRequest>[1]);
}

const uid = (type: string, id: string) => ({ type, id });
const STAFF = [
  { uid: uid('User', 'bob'), attrs: {}, parents: [uid('Group', 'staff')] },
  { uid: uid('Group', 'staff'), attrs: {}, parents: [uid('Group', 'ops')] },
];
const entities = fc.constantFrom<unknown[]>([], STAFF);

describe('a decision that is remembered', () => {
  it.each(CONDITIONS)('is the one that the whole request would have, under: %s', (body) => {
    const text = `permit (principal, action == Action::"read-workflow", resource) when { ${body} };`;
    const set = setOf(text, STAFF);
    for (const asked of fc.sample(request, 150)) expect(set.decide(asked)).toEqual(set.evaluate(asked));
  });

  it('is the one that the whole request would have, whatever the policies look at', {
    timeout: 120_000,
  }, () => {
    fc.assert(
      fc.property(
        fc.array(policy, { minLength: 1, maxLength: 4 }),
        entities,
        fc.array(request, { minLength: 60, maxLength: 80 }),
        (policies, known, requests) => {
          const set = new PolicySet(compiled(policies.join('\n'), known));
          try {
            for (const asked of requests) expect(set.decide(asked)).toEqual(set.evaluate(asked));
          } finally {
            set.release();
          }
        },
      ),
      { numRuns: 25, endOnFailure: true },
    );
  });

  it('is one for all rows that differ in nothing that the policies look at', () => {
    const set = setOf(`
      permit (principal, action == Action::"read-workflow", resource) when { context.initiator == principal };
      permit (principal == User::"bob", action == Action::"read-workflow", resource in Workflow::"deploy")
        when { context.labels.contains("team=a") };
      forbid (principal, action == Action::"cancel-workflow", resource == Instance::"i1");`);
    const ann = { user: 'ann', groups: [] };
    const rows = Array.from({ length: 500 }, (_, n) =>
      read(ann, `i${n}`, 'deploy', { user: `u${n}`, groups: [`g${n}`] }, { n: String(n), team: 'b' }),
    );
    const decisions = new Set(rows.map((row) => set.decide(row)));
    expect([...decisions].map(({ effect }) => effect)).toEqual(['deny']);
    expect(set.decide(read(ann, 'x', 'deploy', ann, {})).effect).toBe('allow');
  });

  it('is one for each row where a policy looks at its id', () => {
    const set = setOf('permit (principal, action, resource == Instance::"i1");');
    const ann = { user: 'ann', groups: [] };
    const rows = ['i1', 'i2', 'i1'].map((id) => set.decide(read(ann, id, 'deploy', ann, {})));
    expect(rows.map(({ effect }) => effect)).toEqual(['allow', 'deny', 'allow']);
    expect(rows[0]).toBe(rows[2]);
  });
});
