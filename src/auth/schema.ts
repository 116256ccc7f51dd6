/**
 * The Cedar schema that every policy set is validated against. A `*.cedarschema` file in the policy directory extends it.
 * It is a string, so that it is there wherever the compiled code is.
 */
export const VAPORA_SCHEMA_FILE = 'vapora.cedarschema';

export const VAPORA_SCHEMA = `// Who acts.

// A person, by the name given with --initiator or --by. In the groups that the request names and that entities.json names.
entity User in [Group];
entity Group in [Group];
// A program that carries out tasks, by its name.
entity Agent in [Group];
// The engine itself: Orchestrator::"vapora-orchestrator".
entity Orchestrator;

// What is acted upon.

// The running engine, where agents register.
entity Engine;
// A workflow template, by its name.
entity Workflow { name: String };
// A stage, by its bare name; two templates may have stages of one name, so say also: resource in Workflow::"deploy".
entity Stage in [Workflow] { name: String, workflow: Workflow };
// One execution of a template, by its id.
entity Instance in [Workflow] { name: String, workflow: Workflow };

// Tokens of language models, what they cost in millionths of a US dollar, and seconds that agents were at it.
type Amounts = { tokens: Long, micro_usd: Long, seconds: Long };

// The same for every action, so that a policy never fails for want of a field.
type RequestContext = {
  // Who started the instance. "Not the initiator" is: forbid (...) when { context.initiator == principal };
  // where initiator and principal are the same person, the groups are those of the principal, as of now.
  initiator: User,
  // Id of the instance; "" where there is none yet.
  instance: String,
  // Number of the attempt, from 1; 0 where nothing was tried.
  attempt: Long,
  // "key=value": context.labels.contains("env=prod").
  labels: Set<String>,
  // Roles that carry out the stage.
  agents: Set<String>,
  // Approvals given so far: context.approvals.contains({ stage: "test", by: principal }).
  approvals: Set<{ stage: String, by: User }>,
  // Whether the stage is a point of no return.
  irreversible: Bool,
  // What the instance has used so far, and what it may use; -1 in a budget: no limit.
  spent: Amounts,
  budget: Amounts,
  // The same of the stage.
  stage_spent: Amounts,
  stage_budget: Amounts,
  // The same of all instances of the workflow, in the present window of what they share.
  shared_spent: Amounts,
  shared_budget: Amounts,
};

// Before a stage is dispatched, and before one that can't be taken back.
action "execute-stage", "pass-point-of-no-return"
  appliesTo { principal: [Orchestrator], resource: [Stage], context: RequestContext };

action "start-workflow", "manage-schedule"
  appliesTo { principal: [User], resource: [Workflow], context: RequestContext };

action "approve-stage", "reject-stage"
  appliesTo { principal: [User], resource: [Stage], context: RequestContext };

action "read-workflow", "cancel-workflow", "rollback-workflow", "retry-workflow", "resume-workflow",
  "retry-dead-letter", "resolve-dead-letter"
  appliesTo { principal: [User], resource: [Instance], context: RequestContext };

// What concerns the whole engine.
action "read-agents", "read-policies", "manage-tokens", "read-metrics", "make-backup"
  appliesTo { principal: [User], resource: [Engine], context: RequestContext };

action "register-agent"
  appliesTo { principal: [Agent], resource: [Engine], context: RequestContext };
`;
