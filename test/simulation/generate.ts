/** From a seed to a scenario. */
import type { EventType } from '../../src/core/events.js';
import type { AgentInfo } from '../../src/core/ports.js';
import { Dice } from './chance.js';
import { makeTemplate, ROLES, STAGES } from './generate-template.js';
import {
  CHANCES,
  type Chance,
  type Chances,
  type Fault,
  type Moment,
  PORTS,
  type Rule,
  type Scenario,
  type StartPlan,
  WISHES,
  type WishPlan,
} from './scenario.js';

const MINUTE = 60_000;
const HOUR = 3_600_000;
/** One in so many asks Cedar. */
const CEDAR_SHARE = 1 / 40;
const GROUPS = ['red', 'blue', 'root'];
const UNDOING = ['undo', 'wipe'];

/** One in so many is of a kind that chance alone would hardly ever make. */
const RARE_SHARE = 1 / 50;

export function makeScenario(seed: number): Scenario {
  const dice = new Dice(seed);
  const scenario = makeAny(dice, seed);
  return dice.chance(RARE_SHARE) ? standstillOf(scenario, dice) : scenario;
}

/**
 * Behind a point of no return a stage fails for want of an agent, is to run again, is denied, and then everything down to the point
 * is to be taken back: with that it is taken back while it waits to run again.
 */
function standstillOf(scenario: Scenario, dice: Dice): Scenario {
  const [template] = scenario.templates;
  const stage = template?.stages[0];
  if (template === undefined || stage === undefined) return scenario;
  const plain = { ...stage, approvalRequired: false, timeoutMs: null, compensationAgents: [] };
  const stages = [
    { ...plain, name: 'a', agents: ['build'], irreversible: true },
    { ...plain, name: 'b', agents: ['watch'], irreversible: false, needs: ['a'], timeoutMs: 2_000 },
  ];
  const forbid: Rule = { ...ALLOW_ALL, effect: 'forbid', action: 'execute-stage', stage: 'b' };
  const person = { start: 0, group: 'root', stage: 'a' };
  return {
    ...scenario,
    templates: [{ ...template, stages, timeoutMs: null, onDeny: 'block' }],
    agents: [{ name: 'build-0', roles: ['build'], maxConcurrent: 4, leaseMs: null }],
    policy: [ALLOW_ALL],
    starts: [{ atMs: dice.int(0, 5_000), workflow: template.name, id: 'i0', group: 'red', times: 1 }],
    wishes: [
      { ...person, type: 'retry', when: { atMs: 60_000 } },
      { ...person, type: 'rollback_to', when: { atMs: 120_000 } },
    ],
    faults: [{ kind: 'policy', atMs: 30_000, rules: [ALLOW_ALL, forbid] }],
    chances: Object.fromEntries(CHANCES.map((chance) => [chance, 0])) as Chances,
  };
}

function makeAny(dice: Dice, seed: number): Scenario {
  const templates = Array.from({ length: dice.pick([1, 1, 2, 3]) }, (_, index) =>
    makeTemplate(dice, `w${index}`),
  );
  const names = templates.map(({ name }) => name);
  const agents = makeAgents(dice);
  const starts = makeStarts(dice, names);
  const isEnforced = dice.chance(0.4);
  return {
    seed,
    templates,
    agents,
    elsewhere: agents.flatMap(({ name, leaseMs }) => (leaseMs === null && dice.chance(0.4) ? [name] : [])),
    policy: makePolicy(dice, names, isEnforced),
    isCedar: dice.chance(CEDAR_SHARE),
    maxParallelTasks: dice.pick([null, null, 2, 5]),
    starts,
    wishes: makeWishes(dice, starts.length),
    faults: makeFaults(dice, agents, names, isEnforced),
    chances: makeChances(dice),
    healAfterMs: 4 * HOUR,
  };
}

function makeAgents(dice: Dice): AgentInfo[] {
  const agents: AgentInfo[] = [];
  for (const role of [...ROLES, ...UNDOING]) {
    const count = dice.pick([0, 1, 1, 1, 2, 2]);
    for (let number = 0; number < count; number += 1) {
      const more = dice.chance(0.3) ? dice.some([...ROLES, ...UNDOING], 2) : [];
      agents.push({
        name: `${role}-${number}`,
        roles: [...new Set([role, ...more])],
        maxConcurrent: dice.pick([1, 1, 2, 4]),
        leaseMs: dice.chance(0.5) ? dice.pick([3_000, 20_000, 5 * MINUTE]) : null,
      });
    }
  }
  return agents;
}

function makeStarts(dice: Dice, workflows: readonly string[]): StartPlan[] {
  const count = dice.pick([1, 2, 4, 6, 10, 16]);
  return Array.from({ length: count }, (_, index) => {
    const hasId = dice.chance(0.8);
    return {
      atMs: dice.span([0, 100], [0, 5_000], [0, HOUR]),
      workflow: dice.pick(workflows),
      id: hasId ? `i${index}` : null,
      group: dice.pick(GROUPS),
      times: hasId && dice.chance(0.15) ? 2 : 1,
    };
  });
}

const STAGE_ACTIONS = ['execute-stage', 'pass-point-of-no-return', 'approve-stage', 'reject-stage'];
const ACTIONS = [
  ...STAGE_ACTIONS,
  'start-workflow',
  'cancel-workflow',
  'rollback-workflow',
  'retry-workflow',
  'resume-workflow',
  'retry-dead-letter',
  'resolve-dead-letter',
];

export const ALLOW_ALL: Rule = { effect: 'permit', action: null, workflow: null, stage: null, group: null };
/** Whoever settles things in the end may do so. */
export const ROOT: Rule = { ...ALLOW_ALL, group: 'root' };

function makePolicy(dice: Dice, workflows: readonly string[], isEnforced: boolean): Rule[] {
  if (!isEnforced) return [ALLOW_ALL];
  const isOpen = dice.chance(0.6);
  const rules: Rule[] = isOpen ? [ALLOW_ALL] : [ROOT];
  if (!isOpen) for (const action of ACTIONS) if (dice.chance(0.8)) rules.push({ ...ALLOW_ALL, action });
  const forbids = dice.int(1, 3);
  for (let number = 0; number < forbids; number += 1) {
    const action = dice.pick(ACTIONS);
    const stage = STAGE_ACTIONS.includes(action) && dice.chance(0.7) ? dice.pick(STAGES) : null;
    const workflow = dice.chance(0.5) ? dice.pick(workflows) : null;
    rules.push({ effect: 'forbid', action, workflow, stage, group: dice.pick(['red', 'blue', null]) });
  }
  return rules;
}

const TRIGGERS: readonly EventType[] = [
  'workflow_created',
  'approval_requested',
  'approval_given',
  'stage_started',
  'stage_completed',
  'stage_failed',
  'stage_blocked',
  'task_dispatched',
  'task_started',
  'task_completed',
  'task_failed',
  'task_interrupted',
  'compensation_planned',
  'compensation_started',
  'stage_compensated',
  'compensation_dead_lettered',
  'workflow_blocked',
  'workflow_failed',
  'rollback_completed',
];
const MOMENTS: readonly Moment[] = ['saving', 'durable', 'told'];

function makeWishes(dice: Dice, starts: number): WishPlan[] {
  const count = dice.pick([0, 0, 1, 2, 4, 8]);
  return Array.from({ length: count }, () => ({
    type: dice.pick(WISHES),
    start: dice.int(0, starts - 1),
    stage: dice.pick(STAGES),
    group: dice.pick(GROUPS),
    when: dice.chance(0.3)
      ? { atMs: dice.span([0, 2_000], [0, 2 * HOUR]) }
      : {
          event: dice.pick(TRIGGERS),
          nth: dice.int(1, 6),
          moment: dice.pick(MOMENTS),
          delayMs: dice.pick([0, 0, 1, 50, 3_000]),
        },
  }));
}

function makeFaults(
  dice: Dice,
  agents: readonly AgentInfo[],
  workflows: readonly string[],
  isEnforced: boolean,
): Fault[] {
  const faults: Fault[] = [];
  const restart = () => ({
    downMs: dice.span([1, 100], [1_000, 60_000], [0, 2 * HOUR]),
    clockMs: dice.chance(0.7) ? 0 : dice.int(-HOUR, HOUR),
  });
  const repeat = (most: number, make: () => Fault) => {
    for (let left = dice.pick([0, 0, 0, 1, most]); left > 0; left -= 1) faults.push(make());
  };
  repeat(4, () => {
    const [port, moment] = [dice.pick(PORTS), dice.pick(['before', 'after'] as const)];
    // some ways are not gone often
    return { kind: 'crash', port, nth: dice.int(1, dice.pick([4, 30])), moment, ...restart() };
  });
  repeat(3, () => ({
    kind: 'crash_within',
    nth: dice.int(1, 150),
    ticks: dice.int(0, 25),
    ...restart(),
  }));
  repeat(3, () => ({
    kind: 'commit',
    nth: dice.int(1, 40),
    how: dice.pick(['lost', 'unsure', 'slow', 'slow']),
    ms: dice.span([100, 5_000], [MINUTE, 30 * MINUTE]),
  }));
  repeat(2, () => ({
    kind: 'pause',
    atMs: dice.span([0, 3_000], [0, 2 * HOUR]),
    forMs: dice.span([100, 5_000], [MINUTE, HOUR]),
    takeover: dice.chance(0.6),
    clockMs: dice.chance(0.8) ? 0 : dice.int(-HOUR, HOUR),
  }));
  repeat(2, () => ({
    kind: 'jump',
    atMs: dice.span([0, 5_000], [0, HOUR]),
    ms: dice.span([1_000, MINUTE], [MINUTE, 5 * HOUR]),
  }));
  if (agents.length > 0)
    repeat(3, () => ({
      kind: 'away',
      agent: dice.pick(agents).name,
      atMs: dice.span([0, 3_000], [0, HOUR]),
      forMs: dice.chance(0.3) ? null : dice.span([100, 5_000], [MINUTE, HOUR]),
    }));
  if (isEnforced)
    repeat(2, () => ({
      kind: 'policy',
      atMs: dice.span([0, 5_000], [0, HOUR]),
      rules: makePolicy(dice, workflows, true),
    }));
  return faults;
}

/** Where a chance is drawn at all, about this. */
const USUAL: Partial<Record<Chance, number>> = {
  slow: 0.3,
  step: 0.3,
  look: 0.3,
  step_changed: 0.5,
  landed: 0.5,
  approved: 0.6,
  fail: 0.25,
};

/** Most worlds are good in most respects: what is rare everywhere is never the rule anywhere. */
function makeChances(dice: Dice): Chances {
  const entries = CHANCES.map((chance) => {
    const usual = USUAL[chance] ?? 0.1;
    return [chance, dice.pick([0, 0, usual / 2, usual, usual * 1.5])] as const;
  });
  return { ...(Object.fromEntries(entries) as Chances), landed: 0.5, approved: dice.pick([0.3, 0.7, 0.9]) };
}
