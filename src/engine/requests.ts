/** What the authorizer is asked, for the engine's own actions and for people's. */
import {
  allowance,
  type Budget,
  NOTHING_SPENT,
  type SharedUse,
  sharedGrantsOf,
  spentBy,
} from '../core/budget.js';
import type { WishInput } from '../core/inputs.js';
import { WISH_ACTIONS } from '../core/inputs.js';
import { findStage, type Principal, type StageAction, type WorkflowInstance } from '../core/instance.js';
import type { Amounts, AuthorizationContext, AuthorizationRequest, InstanceSummary } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';

/** The principal of everything that the engine does by itself. */
export const ORCHESTRATOR = { type: 'Orchestrator', id: 'vapora-orchestrator', groups: [] } as const;

export function stageRequest(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  stage: string,
  action: StageAction,
  use: SharedUse,
): AuthorizationRequest {
  const resource = { type: 'Stage', id: stage, workflow: template.name } as const;
  return { principal: ORCHESTRATOR, action, resource, context: contextOf(template, instance, use, stage) };
}

export function wishRequest(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  wish: Pick<WishInput, 'type' | 'by'> & { readonly stage?: string },
  use: SharedUse,
): AuthorizationRequest {
  const { type, by } = wish;
  const isAboutStage = type === 'approve' || type === 'reject';
  return {
    principal: userOf(by),
    action: WISH_ACTIONS[type],
    resource: isAboutStage
      ? { type: 'Stage', id: wish.stage ?? '', workflow: template.name }
      : { type: 'Instance', id: instance.id, workflow: template.name },
    context: contextOf(template, instance, use, wish.stage),
  };
}

export function startRequest(
  template: WorkflowTemplate,
  by: Principal,
  instance: string,
  labels: Readonly<Record<string, string>>,
): AuthorizationRequest {
  const context: AuthorizationContext = { ...NO_CONTEXT, initiator: by, instance, attempt: 1, labels };
  return {
    principal: userOf(by),
    action: 'start-workflow',
    resource: { type: 'Workflow', id: template.name },
    context,
  };
}

/** Of whoever looks at an instance. A list has summaries only, so nothing is asked here that a summary doesn't know. */
export function readRequest(
  by: Principal,
  instance: WorkflowInstance | InstanceSummary,
): AuthorizationRequest {
  const isSummary = 'template' in instance;
  const workflow = isSummary ? instance.template : instance.templateName;
  const initiator = isSummary
    ? { user: instance.initiator, groups: instance.initiatorGroups }
    : instance.initiator;
  const labels: Readonly<Record<string, string>> = isSummary
    ? instance.labels
    : Object.fromEntries(instance.labels);
  return {
    principal: userOf(by),
    action: 'read-workflow',
    resource: { type: 'Instance', id: instance.id, workflow },
    context: {
      ...NO_CONTEXT,
      initiator,
      instance: instance.id,
      attempt: 1,
      labels,
    },
  };
}

export function scheduleRequest(workflow: string, by: Principal): AuthorizationRequest {
  return {
    principal: userOf(by),
    action: 'manage-schedule',
    resource: { type: 'Workflow', id: workflow },
    context: { ...NO_CONTEXT, initiator: by },
  };
}

/** Of an agent that asks to be let in, for tasks of these roles. */
export function registerRequest(agent: Principal, roles: readonly string[]): AuthorizationRequest {
  return {
    principal: { type: 'Agent', id: agent.user, groups: agent.groups },
    action: 'register-agent',
    resource: { type: 'Engine', id: ENGINE_ID },
    context: { ...NO_CONTEXT, initiator: agent, agents: roles },
  };
}

/** Of what concerns the whole engine. */
export function engineRequest(by: Principal, action: string): AuthorizationRequest {
  return {
    principal: userOf(by),
    action,
    resource: { type: 'Engine', id: ENGINE_ID },
    context: { ...NO_CONTEXT, initiator: by },
  };
}

export const ENGINE_ID = 'vapora';

const NO_AMOUNTS = {
  spent: toAmounts(NOTHING_SPENT),
  budget: toAmounts(allowance(null, 0)),
  stageSpent: toAmounts(NOTHING_SPENT),
  stageBudget: toAmounts(allowance(null, 0)),
  sharedSpent: toAmounts(NOTHING_SPENT),
  sharedBudget: toAmounts(allowance(null, 0)),
};

function amountsOf(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  use: SharedUse,
  name?: string,
): typeof NO_AMOUNTS {
  const spent = toAmounts(spentBy(instance));
  const budget = toAmounts(allowance(template.budget, instance.grants));
  const sharedBudget = toAmounts(allowance(template.sharedBudget ?? null, sharedGrantsOf(instance, use)));
  const all = { ...NO_AMOUNTS, spent, budget, sharedSpent: toAmounts(use.spent), sharedBudget };
  const stage = name === undefined ? undefined : findStage(instance, name);
  if (stage === undefined) return all;
  const own = template.stages.find((candidate) => candidate.name === name)?.budget ?? null;
  const stageBudget = toAmounts(allowance(own, stage.grants));
  return { ...all, stageSpent: toAmounts(stage.spent), stageBudget };
}

/** Whole seconds, rounded up: what was used counts. */
function toAmounts({ tokens, microUsd, ms }: Budget): Amounts {
  return {
    tokens: tokens ?? -1,
    microUsd: microUsd ?? -1,
    seconds: ms === null ? -1 : Math.ceil(ms / 1_000),
  };
}

const NO_CONTEXT = {
  instance: '',
  attempt: 0,
  labels: {},
  agents: [],
  approvals: [],
  irreversible: false,
  ...NO_AMOUNTS,
} as const;

function userOf(by: Principal): AuthorizationRequest['principal'] {
  return { type: 'User', id: by.user, groups: by.groups };
}

function contextOf(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  use: SharedUse,
  stage?: string,
): AuthorizationContext {
  const stageTemplate = template.stages.find((candidate) => candidate.name === stage);
  return {
    initiator: instance.initiator,
    instance: instance.id,
    attempt: stage === undefined ? 1 : (findStage(instance, stage)?.run ?? 1),
    labels: Object.fromEntries(instance.labels),
    agents: stageTemplate?.agents ?? [],
    approvals: instance.stages.flatMap(({ name, approval }) =>
      approval?.status === 'approved' && approval.by !== null ? [{ stage: name, by: approval.by }] : [],
    ),
    irreversible: stageTemplate?.irreversible ?? false,
    ...amountsOf(template, instance, use, stage),
  };
}
