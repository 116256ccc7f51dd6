/** The attempts of one instance that are with agents now: started, listened to, stopped. */

import { VaporaError } from '../core/errors.js';
import type { WorkflowInput } from '../core/inputs.js';
import type { BlobRef, StepResult, TaskAddress, WorkflowInstance } from '../core/instance.js';
import type { Progress, TaskOrder, TaskOutcome, TaskSink } from '../core/ports.js';
import { loadBlob, saveBlob } from './blobs.js';
import type { InFlight } from './in-flight.js';
import { inputOf, isApplied, type OutcomeInput } from './outcomes.js';
import type { Shell } from './shell.js';

/** A task that is done sooner is never recorded as running: a start is worth a commit only when it lasts. */
const STARTED_AFTER_MS = 2_000;

export interface AttemptOwner {
  send(input: WorkflowInput): void;
  ask(input: WorkflowInput): Promise<WorkflowInstance>;
}

export class Attempts {
  readonly #shell: Shell;
  readonly #owner: AttemptOwner;
  /** By task id: those that are under way, and those that the committed state still calls for. */
  readonly #known = new Map<string, Attempt>();
  #underWay = 0;
  #stopping = 0;
  /** Outcomes whose content is on its way to the disk, also of attempts that have been stopped since. */
  #saving = 0;

  constructor(shell: Shell, owner: AttemptOwner) {
    this.#shell = shell;
    this.#owner = owner;
  }

  /** INVARIANT: the instance stays awake for these, or an outcome would be told to an actor that is no longer the instance's. */
  get size(): number {
    return this.#underWay + this.#saving;
  }

  /** While an attempt is being stopped nothing new may start: a compensation must not meet what it takes back. */
  get isStopping(): boolean {
    return this.#stopping > 0;
  }

  /** Starts what `executes` calls for and was not started yet, each with what `orderOf` answers; stops what it no longer calls for. */
  reconcile(executes: ReadonlyMap<string, TaskAddress>, orderOf: (at: TaskAddress) => TaskOrder): void {
    for (const attempt of this.#known.values()) {
      if (executes.has(attempt.taskId)) continue;
      attempt.isCalledFor = false;
      if (attempt.isUnderWay) this.#stop(attempt);
      else this.#known.delete(attempt.taskId);
    }
    if (this.isStopping || this.#shell.isClosing) return;
    for (const [taskId, at] of executes) {
      // INVARIANT: an attempt is dispatched once. One that has ended while another commit was under way is in flight in that state.
      if (!this.has(taskId)) this.#start(orderOf(at), at);
    }
  }

  /** Whether it was started and the committed state still calls for it, also where its outcome waits to be committed. */
  has(taskId: string): boolean {
    return this.#known.get(taskId)?.isCalledFor === true;
  }

  /** Takes up an attempt that an earlier process has dispatched; false: it is gone. */
  resume({ taskId, at, attempt: number, agent }: InFlight, orderOf: (at: TaskAddress) => TaskOrder): boolean {
    const attempt = new Attempt(this, taskId, at, number);
    if (!this.#shell.transport.resume(agent, () => orderOf(at), attempt)) return false;
    this.#add(attempt);
    this.#shell.swarm.hold(taskId, agent);
    return true;
  }

  /** Makes sure that an attempt which an earlier process has called off acts no more; until then nothing starts. */
  callOff(calledOff: InFlight, orderOf: (at: TaskAddress) => TaskOrder): void {
    if (!this.resume(calledOff, orderOf)) return;
    const attempt = this.#known.get(calledOff.taskId);
    if (attempt !== undefined) this.#stop(attempt);
  }

  #start(order: TaskOrder, at: TaskAddress): void {
    const { clock, transport } = this.#shell;
    const { task_id: taskId, attempt: number } = order;
    const attempt = new Attempt(this, taskId, at, number);
    this.#add(attempt);
    attempt.cancelStarted = clock.after(STARTED_AFTER_MS, () => {
      if (this.#isHeard(attempt)) this.#owner.send({ type: 'started', ...at, attempt: number });
    });
    transport.dispatch(order, attempt);
  }

  #add(attempt: Attempt): void {
    this.#known.set(attempt.taskId, attempt);
    this.#underWay += 1;
  }

  /** It has ended, or acts no longer. */
  #leave(attempt: Attempt): void {
    if (!attempt.isUnderWay) return;
    attempt.isUnderWay = false;
    this.#underWay -= 1;
  }

  /** Its words count: it was not stopped, and nothing goes down. */
  #isHeard(attempt: Attempt): boolean {
    return attempt.isUnderWay && !attempt.isStopped && !this.#shell.isClosing;
  }

  #stop(attempt: Attempt): void {
    if (attempt.isStopped) return;
    const { taskId } = attempt;
    attempt.isStopped = true;
    this.#stopping += 1;
    void this.#shell.transport
      .stop(taskId)
      .catch((error: unknown) => this.#shell.fail(error))
      .then(() => {
        attempt.cancelStarted?.();
        this.#leave(attempt);
        if (!attempt.isCalledFor) this.#known.delete(taskId);
        this.#shell.swarm.release(taskId, 'neutral');
        this.#stopping -= 1;
        // what waited for the stops may start now
        if (this.#stopping === 0) this.#owner.send({ type: 'tick' });
      });
  }

  heartbeat({ taskId }: Attempt): void {
    this.#shell.swarm.touch(taskId);
  }

  progress({ taskId, at, isUnderWay }: Attempt, progress: Progress): void {
    this.#shell.swarm.touch(taskId);
    if (!isUnderWay) return;
    const workflow_id = taskId.slice(0, taskId.indexOf('/'));
    this.#shell.publish({
      kind: 'progress',
      workflow_id: workflow_id as WorkflowInstance['id'],
      stage: at.stage,
      role: at.role,
      progress,
    });
  }

  async step(attempt: Attempt, result: StepResult): Promise<void> {
    const { taskId, at, number } = attempt;
    this.#shell.swarm.touch(taskId);
    if (this.#isHeard(attempt)) await this.#owner.ask({ type: 'step', ...at, attempt: number, result });
    if (!this.#isHeard(attempt))
      throw new VaporaError('agent_lost', `attempt \`${taskId}\` is no longer current`);
  }

  blob(ref: BlobRef): Promise<Uint8Array> {
    return loadBlob(this.#shell.store, ref);
  }

  keep(content: Uint8Array): Promise<BlobRef> {
    return saveBlob(this.#shell.store, content);
  }

  async end(attempt: Attempt, outcome: TaskOutcome): Promise<boolean> {
    attempt.cancelStarted?.();
    // what we stopped ourselves has been decided already; what ends because the process goes down is lost, not failed
    if (!this.#isHeard(attempt)) return false;
    try {
      const ready = inputOf(this.#shell.store, attempt.at, attempt.number, outcome);
      return await this.#deliver(attempt, ready instanceof Promise ? await this.#saved(ready) : ready);
    } catch (error) {
      this.#shell.fail(error);
      return false;
    }
  }

  async #saved(input: Promise<OutcomeInput>): Promise<OutcomeInput> {
    this.#saving += 1;
    try {
      return await input;
    } finally {
      this.#saving -= 1;
    }
  }

  /**
   * Only now is the agent free again: what it made is safe, so the next task of its role may well be this instance's. Whoever else
   * gets the agent decides after this instance, and so knows what the attempt has used of what they share.
   */
  #deliver(attempt: Attempt, input: OutcomeInput): boolean | Promise<boolean> {
    // after the stop is done it is told all the same, and kept as late
    if (attempt.isStopped && attempt.isUnderWay) return false;
    this.#leave(attempt);
    const asked = this.#owner.ask(input);
    this.#shell.swarm.release(attempt.taskId, input.type === 'succeeded' ? 'success' : 'failure');
    return asked.then(
      (instance) => isApplied(instance, input),
      // the engine has failed, and says so itself
      () => false,
    );
  }
}

/** One attempt under way, and where its agent's words go: an object for each, because of ten thousand only this is kept. */
class Attempt implements TaskSink {
  readonly taskId: string;
  readonly at: TaskAddress;
  readonly number: number;
  /** With its agent, or being stopped. */
  isUnderWay = true;
  isStopped = false;
  /** The committed state wants it to be going on, or has not heard yet that it has ended. */
  isCalledFor = true;
  cancelStarted: (() => void) | null = null;
  readonly #attempts: Attempts;

  constructor(attempts: Attempts, taskId: string, at: TaskAddress, number: number) {
    this.#attempts = attempts;
    this.taskId = taskId;
    this.at = at;
    this.number = number;
  }

  heartbeat(): void {
    this.#attempts.heartbeat(this);
  }

  progress(progress: Progress): void {
    this.#attempts.progress(this, progress);
  }

  step(result: StepResult): Promise<void> {
    return this.#attempts.step(this, result);
  }

  blob(ref: BlobRef): Promise<Uint8Array> {
    return this.#attempts.blob(ref);
  }

  keep(content: Uint8Array): Promise<BlobRef> {
    return this.#attempts.keep(content);
  }

  end(outcome: TaskOutcome): Promise<boolean> {
    return this.#attempts.end(this, outcome);
  }
}
