/** What the reference model keeps of an instance. Written from docs/concepts.md, without the engine's own rules. */
import type {
  CompensationStatus,
  InstanceStatus,
  StageState,
  StageStatus,
  TaskStatus,
  WorkflowInstance,
} from '../../src/core/instance.js';
import type { StageTemplate, WorkflowTemplate } from '../../src/core/template.js';

/** What the history or the state has, and must not have. */
export class Complaint extends Error {}

export function demand(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Complaint(otherwise);
}

export interface ModelTask {
  readonly role: string;
  status: TaskStatus;
  attempt: number;
  failures: number;
  retryAt: number | null;
  deadlineAt: number | null;
  dispatchedAt: number;
}

export interface ModelStage {
  readonly name: string;
  readonly template: StageTemplate;
  status: StageStatus;
  run: number;
  /** Given, by a person or by silence, for the run that is to come. */
  isApproved: boolean;
  approvalDeadlineAt: number | null;
  permits: Set<string>;
  block: { code: string; role: string | null } | null;
  /** Has been started in this run, so it may have had effects. */
  wasStarted: boolean;
  deadlineAt: number | null;
  /** Place in the order of completion. */
  completion: number | null;
  tasks: ModelTask[];
  /** That agents were at it, of attempts that have ended. */
  usedMs: number;
  grants: number;
  undo: CompensationStatus;
  undoTasks: ModelTask[];
  /** Its dead letter was retried: that goes on beside the rest of the way back. */
  isLetter: boolean;
}

export type Target =
  | { readonly end: 'failed' | 'cancelled' }
  | { readonly end: 'resume'; readonly to: string };

/** Which status may follow which; told of each change, also of one that is not legal. */
export type OnTransition = (
  table: 'instance' | 'stage' | 'task' | 'compensation',
  from: string,
  to: string,
) => void;

export class ModelInstance {
  readonly template: WorkflowTemplate;
  readonly stages: readonly ModelStage[];
  readonly retryOf: string | null;
  readonly user: string;
  readonly #onTransition: OnTransition;
  status: InstanceStatus = 'draft';
  completions = 0;
  deadlineAt: number | null;
  grants = 0;
  rollback: { target: Target; order: readonly string[]; plannedAt: number } | null = null;

  constructor(
    template: WorkflowTemplate,
    created: { retryOf: string | null; user: string; deadlineAt: number | null },
    onTransition: OnTransition,
  ) {
    this.template = template;
    this.retryOf = created.retryOf;
    this.user = created.user;
    this.deadlineAt = created.deadlineAt;
    this.#onTransition = onTransition;
    this.stages = template.stages.map(newStage);
  }

  stage(name: string): ModelStage {
    const stage = this.stages.find((candidate) => candidate.name === name);
    if (stage === undefined) throw new Error(`there is no stage ${name}`);
    return stage;
  }

  task(at: { stage: string; role: string; kind: string }): ModelTask {
    const stage = this.stage(at.stage);
    const tasks = at.kind === 'execute' ? stage.tasks : stage.undoTasks;
    const task = tasks.find(({ role }) => role === at.role);
    if (task === undefined) throw new Error(`stage ${at.stage} has no task for ${at.role}`);
    return task;
  }

  become(status: InstanceStatus): void {
    this.#onTransition('instance', this.status, status);
    this.status = status;
  }

  setStage(stage: ModelStage, status: StageStatus): void {
    this.#onTransition('stage', stage.status, status);
    stage.status = status;
  }

  setTask(task: ModelTask, status: TaskStatus): void {
    this.#onTransition('task', task.status, status);
    task.status = status;
  }

  setUndo(stage: ModelStage, undo: CompensationStatus): void {
    this.#onTransition('compensation', stage.undo, undo);
    stage.undo = undo;
  }

  /** Back to the beginning, after it was taken back; or to run what is left of it once more. */
  reset(stage: ModelStage): void {
    this.setStage(stage, 'pending');
    Object.assign(stage, { isApproved: false, approvalDeadlineAt: null, permits: new Set(), block: null });
    Object.assign(stage, { deadlineAt: null, completion: null });
    if (stage.undo === 'none') {
      for (const task of stage.tasks) if (task.status !== 'completed') renew(task);
      return;
    }
    this.setUndo(stage, 'none');
    stage.run += 1;
    stage.wasStarted = false;
    for (const task of [...stage.tasks, ...stage.undoTasks]) renew(task);
  }
}

function renew(task: ModelTask): void {
  Object.assign(task, { status: 'pending', failures: 0, retryAt: null, deadlineAt: null });
}

function newStage(template: StageTemplate): ModelStage {
  return {
    name: template.name,
    template,
    status: 'pending',
    run: 1,
    isApproved: false,
    approvalDeadlineAt: null,
    permits: new Set(),
    block: null,
    wasStarted: false,
    deadlineAt: null,
    completion: null,
    tasks: [],
    usedMs: 0,
    grants: 0,
    undo: 'none',
    undoTasks: [],
    isLetter: false,
  };
}

export function newModelTask(role: string): ModelTask {
  return {
    role,
    status: 'pending',
    attempt: 0,
    failures: 0,
    retryAt: null,
    deadlineAt: null,
    dispatchedAt: 0,
  };
}

export function isInFlight({ status }: ModelTask): boolean {
  return status === 'dispatched' || status === 'running';
}

export function hasEnded({ status }: { status: InstanceStatus }): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Where the engine's state is not what the model has come to; null: nowhere. */
export function differenceOf(model: ModelInstance, state: WorkflowInstance): string | null {
  const whole = [
    ['status', model.status, state.status],
    ['deadline', model.deadlineAt, state.deadlineAt],
    ['completions', model.completions, state.completions],
    ['target', model.rollback?.target.end ?? null, state.rollback?.target.end ?? null],
    ['order', model.rollback?.order.join() ?? null, state.rollback?.order.join() ?? null],
    ['end', hasEnded(model), state.endedAt !== null],
  ] as const;
  for (const [what, expected, found] of whole) {
    if (expected !== found) return `${what} is ${found}, not ${expected}`;
  }
  for (const [index, stage] of model.stages.entries()) {
    const other = state.stages[index];
    if (other === undefined) return `stage ${stage.name} is missing`;
    const difference = stageDifference(stage, other);
    if (difference !== null) return difference;
  }
  return null;
}

function stageDifference(stage: ModelStage, other: StageState): string | null {
  const isSame =
    stage.status === other.status &&
    stage.run === other.run &&
    stage.deadlineAt === other.deadlineAt &&
    stage.completion === other.completion &&
    stage.undo === other.compensation.status &&
    stage.usedMs === other.spent.ms &&
    stage.grants === other.grants &&
    (stage.block?.code ?? null) === (other.block?.code ?? null) &&
    stage.permits.size === other.permits.length &&
    other.permits.every((permit) => stage.permits.has(permit)) &&
    isSameTasks(stage.tasks, other.tasks) &&
    isSameTasks(stage.undoTasks, other.compensation.tasks);
  if (isSame) return null;
  // only now are words worth their while
  const pairs = [
    ['status', stage.status, other.status],
    ['run', stage.run, other.run],
    ['deadline', stage.deadlineAt, other.deadlineAt],
    ['completion', stage.completion, other.completion],
    ['compensation', stage.undo, other.compensation.status],
    ['time used', stage.usedMs, other.spent.ms],
    ['grants', stage.grants, other.grants],
    ['block', stage.block?.code ?? null, other.block?.code ?? null],
    ['permits', [...stage.permits].join(), other.permits.join()],
    ['tasks', stage.tasks.map(textOf).join(), other.tasks.map(textOf).join()],
    ['undo', stage.undoTasks.map(textOf).join(), other.compensation.tasks.map(textOf).join()],
  ] as const;
  for (const [what, expected, found] of pairs) {
    if (expected !== found) return `${what} of stage ${stage.name} is ${found}, not ${expected}`;
  }
  return `stage ${stage.name} is another one`;
}

type TaskFields = Pick<ModelTask, 'role' | 'status' | 'attempt' | 'failures' | 'retryAt' | 'deadlineAt'>;

function isSameTasks(tasks: readonly TaskFields[], others: readonly TaskFields[]): boolean {
  if (tasks.length !== others.length) return false;
  return tasks.every((task, index) => {
    const other = others[index];
    return (
      task.role === other?.role &&
      task.status === other.status &&
      task.attempt === other.attempt &&
      task.failures === other.failures &&
      task.retryAt === other.retryAt &&
      task.deadlineAt === other.deadlineAt
    );
  });
}

function textOf({ role, status, attempt, failures, retryAt, deadlineAt }: TaskFields): string {
  return `${role}:${status}#${attempt}/${failures}@${retryAt}<${deadlineAt}`;
}
