/** Vapora Workflow Engine, as a library. Every public name is listed here by hand. */
export {
  type Agent,
  type CompensationTask,
  defineAgent,
  PermanentError,
  RetryableError,
  type Task,
  type TaskArtifact,
  type TaskContext,
  type TaskResult,
} from './agent/index.js';
export { AllowAllAuthorizer } from './auth/allow-all.js';
export { CedarAuthorizer } from './auth/cedar.js';
export { type Engine, type EngineOptions, openEngine } from './compose.js';
export { checkWorkflows } from './config/check.js';
export { defineWorkflow } from './config/define.js';
export { type EngineConfig, findConfig, loadConfig, parseConfig } from './config/load.js';
export { formatProblem } from './config/report.js';
export type {
  AuditReport,
  DeadLetter,
  InstanceArtifact,
  Notice,
  RollbackPreview,
  StartRequest,
  StartResult,
  WorkflowApi,
} from './core/api.js';
export { ERRORS, type ErrorCode, type Failure, type Problem, VaporaError } from './core/errors.js';
export type { Entry, EventRecord, EventType, WorkflowEvent } from './core/events.js';
export {
  type ArtifactRef,
  COMPENSATION_TRANSITIONS,
  type Decision,
  INSTANCE_TRANSITIONS,
  type InstanceStatus,
  type Principal,
  STAGE_TRANSITIONS,
  TASK_TRANSITIONS,
  type WorkflowInstance,
} from './core/instance.js';
export type { InstancePage, InstanceQuery, InstanceSummary, WorkflowStore } from './core/ports.js';
export type { RetryPolicy, StageTemplate, WorkflowTemplate } from './core/template.js';
export { WorkflowOrchestrator } from './engine/orchestrator.js';
export { SagaCompensator, type SagaMetrics } from './engine/saga-compensator.js';
export { SurrealWorkflowStore } from './store/surreal/store.js';
export { SwarmCoordinator } from './swarm/coordinator.js';
