/**
 * The reference model: given what has happened to an instance (answers, decisions, wishes, time), which events may be in its history,
 * which must be, and what it has come to. Small, slow to be clever, and without the engine's own rules: these are from
 * docs/concepts.md.
 */
import type { WorkflowEvent } from '../../src/core/events.js';
import { grant, hasMore, isSpent } from './model-budget.js';
import {
  Complaint,
  demand,
  hasEnded,
  type ModelInstance,
  type ModelStage,
  newModelTask,
} from './model-state.js';
import { applyTaskEvent, isTaskEvent } from './model-tasks.js';
import { applyUndoEvent, checkUndo, isUndoEvent } from './model-undo.js';
import { applyWish } from './model-wishes.js';
import type { WishType } from './scenario.js';

export interface Asked {
  readonly type: WishType;
  readonly stage: string;
}

/** What is known about the world that the history is about. */
export interface Oracle {
  wishOf(user: string): Asked | undefined;
  /** How the attempt was answered with that status, retryable or not: both, where it was answered twice; undefined: it was not. */
  answersOf(taskId: string, status: 'completed' | 'failed'): ReadonlySet<boolean> | undefined;
  /** Whether that is what the authorizer has said last about it. */
  hasDecided(instance: string, stage: string, action: string, isAllow: boolean): boolean;
  agentServes(agent: string, role: string): boolean;
  /** Whether the attempt can be lost for that reason. */
  canBeLost(taskId: string, reason: string): boolean;
}

type EventOf<T extends WorkflowEvent['type']> = Extract<WorkflowEvent, { type: T }>;

/** One commit in the reading of the model. */
export class Reading {
  readonly model: ModelInstance;
  readonly id: string;
  readonly oracle: Oracle;
  readonly at: number;
  /** What must follow in this commit. */
  readonly due: string[] = [];
  /** As the commit began: deadlines that have passed together are all applied. */
  readonly #wasHalted: boolean;

  constructor(model: ModelInstance, id: string, oracle: Oracle, at: number) {
    this.model = model;
    this.id = id;
    this.oracle = oracle;
    this.at = at;
    this.#wasHalted = this.isHalted();
  }

  /** Whether it was due; it no longer is. */
  takeDue(what: string): boolean {
    const index = this.due.indexOf(what);
    if (index === -1) return false;
    this.due.splice(index, 1);
    return true;
  }

  isForward(): boolean {
    return !hasEnded(this.model) && this.model.rollback === null;
  }

  isHalted(): boolean {
    return this.model.stages.some(({ status }) => status === 'failed');
  }

  isReady(stage: ModelStage): boolean {
    const { model } = this;
    const { needs } = stage.template;
    return stage.status === 'pending' && needs.every((need) => model.stage(need).status === 'completed');
  }

  /** Nothing but the policy or an approval is between the stage and its start. */
  isOpen(stage: ModelStage): boolean {
    return this.isForward() && !this.isHalted() && stage.block === null && this.isReady(stage);
  }

  missingPermit(stage: ModelStage): string | null {
    if (!stage.permits.has('execute-stage')) return 'execute-stage';
    const needsMore = stage.template.irreversible && !stage.isApproved;
    return needsMore && !stage.permits.has('pass-point-of-no-return') ? 'pass-point-of-no-return' : null;
  }

  /** Stages behind which there is no way back. */
  passed(): ModelStage[] {
    return this.model.stages.filter(
      ({ template, tasks }) =>
        template.irreversible && tasks.some(({ attempt, status }) => attempt > 0 || status === 'completed'),
    );
  }

  isOver(deadlineAt: number | null): boolean {
    return deadlineAt !== null && deadlineAt <= this.at;
  }

  apply(event: WorkflowEvent): void {
    if (isTaskEvent(event)) return applyTaskEvent(this, event);
    if (isUndoEvent(event)) return applyUndoEvent(this, event);
    switch (event.type) {
      case 'workflow_created':
        throw new Complaint('created twice');
      case 'action_authorized':
        return applyWish(this, event);
      case 'late_result_ignored': {
        const task = this.model.task(event);
        const isCurrent =
          task.attempt === event.attempt && (task.status === 'dispatched' || task.status === 'running');
        return demand(event.attempt <= task.attempt && !isCurrent, 'a result that is not late is ignored');
      }
      case 'workflow_started':
      case 'workflow_waiting':
      case 'workflow_blocked':
      case 'workflow_resumed':
      case 'workflow_completed':
        return this.#applyStatus(event);
      case 'budget_granted':
        return grant(this, event);
      default:
        return this.#applyStage(event);
    }
  }

  #applyStatus(
    event: EventOf<
      'workflow_started' | 'workflow_waiting' | 'workflow_blocked' | 'workflow_resumed' | 'workflow_completed'
    >,
  ): void {
    const { model } = this;
    switch (event.type) {
      case 'workflow_started':
        return model.become('active');
      case 'workflow_waiting':
        return model.become('waiting_approval');
      case 'workflow_blocked':
        return model.become('blocked');
      case 'workflow_resumed': {
        const limitMs = model.template.timeoutMs;
        const isRenewed = this.takeDue('renewal') && limitMs !== null && this.isOver(model.deadlineAt);
        if (isRenewed) model.deadlineAt = this.at + limitMs;
        demand(event.deadlineAt === model.deadlineAt, 'the deadline changed');
        return model.become('active');
      }
      case 'workflow_completed':
        demand(
          model.stages.every(({ status }) => status === 'completed'),
          'completed before its stages',
        );
        return model.become('completed');
    }
  }

  #applyStage(
    event: EventOf<
      | 'stage_carried_over'
      | 'stage_authorized'
      | 'approval_requested'
      | 'approval_given'
      | 'approval_rejected'
      | 'approval_expired'
      | 'stage_started'
      | 'stage_blocked'
      | 'stage_unblocked'
      | 'stage_completed'
      | 'stage_failed'
      | 'stage_skipped'
      | 'stage_reset'
    >,
  ): void {
    const stage = this.model.stage(event.stage);
    switch (event.type) {
      case 'stage_carried_over':
        return this.#carryOver(stage);
      case 'stage_authorized':
        return this.#authorize(stage, event);
      case 'approval_requested':
      case 'approval_given':
      case 'approval_rejected':
      case 'approval_expired':
        return this.#approve(stage, event);
      case 'stage_started':
        return this.#start(stage, event);
      case 'stage_blocked':
        return this.#block(stage, event);
      case 'stage_unblocked':
        return this.#unblock(stage);
      case 'stage_completed':
        demand(stage.status === 'running', 'completed without being at work');
        demand(
          stage.tasks.every(({ status }) => status === 'completed'),
          'completed before its tasks',
        );
        return this.#complete(stage);
      case 'stage_failed':
        return this.#fail(stage, event);
      case 'stage_skipped':
        demand(this.takeDue(`skip ${stage.name}`), `stage ${stage.name} is skipped for no reason`);
        return this.model.setStage(stage, 'skipped');
      case 'stage_reset':
        demand(
          this.takeDue(`reset ${stage.name}`) || this.#isGoingOn(),
          `stage ${stage.name} is reset for no reason`,
        );
        return this.model.reset(stage);
    }
  }

  #complete(stage: ModelStage): void {
    this.model.setStage(stage, 'completed');
    this.model.completions += 1;
    stage.completion = this.model.completions;
  }

  #carryOver(stage: ModelStage): void {
    demand(this.due[0] === `carry ${stage.name}`, `stage ${stage.name} is not what is taken over next`);
    this.due.shift();
    this.#complete(stage);
    stage.tasks = stage.template.agents.map((role) => ({ ...newModelTask(role), status: 'completed' }));
  }

  #authorize(stage: ModelStage, { action, decision }: EventOf<'stage_authorized'>): void {
    demand(
      this.isOpen(stage) && !this.needsApproval(stage),
      `nobody asks whether stage ${stage.name} may run`,
    );
    demand(this.missingPermit(stage) === action, `${action} is not what stage ${stage.name} needs`);
    const isAllow = decision.effect === 'allow';
    demand(
      this.oracle.hasDecided(this.id, stage.name, action, isAllow),
      'the authorizer said something else',
    );
    if (isAllow) stage.permits.add(action);
    else this.due.push(`${this.model.template.onDeny === 'block' ? 'block' : 'fail'} ${stage.name}`);
  }

  needsApproval({ template, isApproved }: ModelStage): boolean {
    return template.approvalRequired && !isApproved;
  }

  #approve(
    stage: ModelStage,
    event: EventOf<'approval_requested' | 'approval_given' | 'approval_rejected' | 'approval_expired'>,
  ): void {
    const { model, at } = this;
    const { approvalTimeoutMs, approvalRequired, onApprovalTimeout } = stage.template;
    if (event.type === 'approval_requested') {
      demand(approvalRequired && this.isOpen(stage), `stage ${stage.name} asks for no approval now`);
      stage.isApproved = false;
      stage.approvalDeadlineAt = approvalTimeoutMs === null ? null : at + approvalTimeoutMs;
      demand(event.deadlineAt === stage.approvalDeadlineAt, 'the time limit of the approval is another one');
      return model.setStage(stage, 'waiting_approval');
    }
    demand(
      stage.status === 'waiting_approval' && this.isForward(),
      `stage ${stage.name} waits for no approval`,
    );
    if (event.type === 'approval_expired') {
      demand(this.isOver(stage.approvalDeadlineAt) && !this.#wasHalted, 'the approval expires early');
      demand(event.outcome === onApprovalTimeout, 'silence means something else');
    } else {
      const what = event.type === 'approval_given' ? 'approve' : 'reject';
      demand(this.takeDue(`${what} ${stage.name}`), `nobody wants to ${what} stage ${stage.name}`);
    }
    const isYes =
      event.type === 'approval_given' || (event.type === 'approval_expired' && event.outcome === 'approve');
    if (!isYes) {
      this.due.push(`fail ${stage.name}`);
      return;
    }
    stage.isApproved = true;
    model.setStage(stage, 'pending');
  }

  #start(stage: ModelStage, event: EventOf<'stage_started'>): void {
    demand(this.isOpen(stage), `stage ${stage.name} can't start`);
    demand(!this.needsApproval(stage), `stage ${stage.name} starts without its approval`);
    demand(this.missingPermit(stage) === null, `stage ${stage.name} starts without a permit`);
    const { timeoutMs, agents } = stage.template;
    stage.deadlineAt = timeoutMs === null ? null : this.at + timeoutMs;
    demand(event.deadlineAt === stage.deadlineAt, 'the time limit of the stage is another one');
    this.model.setStage(stage, 'running');
    stage.wasStarted = true;
    stage.tasks = agents.map((role) => stage.tasks.find((task) => task.role === role) ?? newModelTask(role));
  }

  #block(stage: ModelStage, { block }: EventOf<'stage_blocked'>): void {
    const isCalledFor =
      block.code === 'denied'
        ? this.takeDue(`block ${stage.name}`)
        : block.code === 'role_unserved'
          ? stage.status === 'running' && this.isForward()
          : block.code === 'budget_exceeded'
            ? this.model.template.onBreach === 'pause' && isSpent(this, stage) && hasMore(this, stage)
            : block.code === 'point_of_no_return' && stage.status === 'failed' && this.passed().length > 0;
    demand(isCalledFor, `stage ${stage.name} is blocked for no reason`);
    stage.block = { code: block.code, role: block.role ?? null };
  }

  #unblock(stage: ModelStage): void {
    const isServed = stage.block?.code === 'role_unserved' && !hasEnded(this.model);
    const isCalledFor = this.takeDue(`unblock ${stage.name}`) || isServed || this.#isGoingOn();
    demand(isCalledFor && stage.block !== null, `stage ${stage.name} is unblocked for no reason`);
    stage.block = null;
    stage.permits = new Set();
  }

  #fail(stage: ModelStage, { error }: EventOf<'stage_failed'>): void {
    const { model } = this;
    const isOpen =
      stage.status === 'running' || stage.status === 'waiting_approval' || stage.status === 'pending';
    const isDue = this.takeDue(`fail ${stage.name}`);
    if (error.code === 'stage_aborted') this.due.push('plan');
    const isCalledFor =
      isDue ||
      (error.code === 'stage_aborted' && stage.status === 'running') ||
      (error.code === 'stage_timeout' && stage.status === 'running' && this.isOver(stage.deadlineAt)) ||
      (error.code === 'budget_exceeded' &&
        model.template.onBreach === 'compensate' &&
        isSpent(this, stage)) ||
      (error.code === 'workflow_timeout' && this.isOver(model.deadlineAt) && this.passed().length > 0);
    demand(
      isCalledFor && isOpen && this.isForward(),
      `stage ${stage.name} fails for no reason: ${error.code}`,
    );
    const isQuiet = stage.tasks.every(({ status }) => !['pending', 'dispatched', 'running'].includes(status));
    demand(isQuiet || stage.status !== 'running', `stage ${stage.name} fails with tasks under way`);
    model.setStage(stage, 'failed');
    stage.block = null;
  }

  /** A rollback to a stage is done: what it covered begins anew. */
  #isGoingOn(): boolean {
    const { rollback, stages } = this.model;
    const isSettled = stages.every(({ undo }) => !['planned', 'running', 'dead_lettered'].includes(undo));
    return rollback?.target.end === 'resume' && isSettled;
  }

  /** At the end of a commit nothing is left to do that needs no answer from anybody. */
  finish(): void {
    const { model } = this;
    demand(this.due.length === 0, `missing in the commit: ${this.due.join(', ')}`);
    checkUndo(this);
    if (hasEnded(model) || model.rollback !== null) return;
    const failed = model.stages.find(({ status }) => status === 'failed');
    if (failed !== undefined) {
      demand(
        this.passed().length > 0,
        `stage ${failed.name} failed and nothing is planned in the same commit`,
      );
      demand(failed.block?.code === 'point_of_no_return', `stage ${failed.name} failed without a word`);
    }
    for (const stage of model.stages) {
      const isDone = stage.status === 'running' && stage.tasks.every(({ status }) => status === 'completed');
      demand(!isDone, `stage ${stage.name} is done and not completed`);
      demand(!this.isOpen(stage), `stage ${stage.name} could go on and does not`);
      const isHeld = stage.block !== null || failed !== undefined;
      demand(isHeld || !hasMore(this, stage) || !isSpent(this, stage), `stage ${stage.name} may use no more`);
    }
    demand(
      model.status === this.#expectedStatus(),
      `status is ${model.status}, not ${this.#expectedStatus()}`,
    );
  }

  #expectedStatus(): string {
    const { stages } = this.model;
    if (stages.every(({ status }) => status === 'completed')) return 'completed';
    const isMoving = stages.some(
      ({ status, block, tasks }) =>
        status === 'running' &&
        (block === null || tasks.some((task) => task.status === 'dispatched' || task.status === 'running')),
    );
    if (isMoving) return 'active';
    return stages.some(({ block }) => block !== null) ? 'blocked' : 'waiting_approval';
  }
}
