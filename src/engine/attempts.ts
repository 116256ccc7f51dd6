/** The attempts of one instance that are with agents now: started, listened to, stopped. */

import { VaporaError } from '../core/errors.js';
import type { WorkflowInput } from '../core/inputs.js';
import type { TaskAddress, WorkflowInstance } from '../core/instance.js';
import type { TaskOrder, TaskOutcome, TaskSink } from '../core/ports.js';
import { loadBlob, saveBlob } from './blobs.js';
import { inputOf, isApplied, type OutcomeInput } from './outcomes.js';
import type { Shell } from './shell.js';

/** A task that is done sooner is never recorded as running: a start is worth a commit only when it lasts. */
const STARTED_AFTER_MS = 2_000;

interface Attempt {
  readonly at: TaskAddress;
  readonly number: number;
  isStopped: boolean;
  cancelStarted: () => void;
}

export interface AttemptOwner {
  send(input: WorkflowInput): void;
  ask(input: WorkflowInput): Promise<WorkflowInstance>;
  /** All stops that were asked for are done. */
  onStopped(): void;
}

export class Attempts {
  readonly #shell: Shell;
  readonly #owner: AttemptOwner;
  readonly #running = new Map<string, Attempt>();
  /** Those that were started and that the committed state still calls for, also where their outcome waits to be committed. */
  readonly #begun = new Set<string>();
  #stopping = 0;
  /** Outcomes whose content is on its way to the disk, also of attempts that have been stopped since. */
  #saving = 0;

  constructor(shell: Shell, owner: AttemptOwner) {
    this.#shell = shell;
    this.#owner = owner;
  }

  /** INVARIANT: the instance stays awake for these, or an outcome would be told to an actor that is no longer the instance's. */
  get size(): number {
    return this.#running.size + this.#saving;
  }

  /** While an attempt is being stopped nothing new may start: a compensation must not meet what it takes back. */
  get isStopping(): boolean {
    return this.#stopping > 0;
  }

  /** Starts what `executes` calls for and was not started yet, each with what `orderOf` answers; stops what it no longer calls for. */
  reconcile(executes: ReadonlyMap<string, TaskAddress>, orderOf: (at: TaskAddress) => TaskOrder): void {
    for (const taskId of [...this.#running.keys()]) if (!executes.has(taskId)) this.#stop(taskId);
    for (const taskId of this.#begun) if (!executes.has(taskId)) this.#begun.delete(taskId);
    if (this.isStopping || this.#shell.isClosing) return;
    for (const [taskId, at] of executes) {
      // INVARIANT: an attempt is dispatched once. One that has ended while another commit was under way is in flight in that state.
      if (!this.#begun.has(taskId)) this.#start(orderOf(at), at);
    }
  }

  has(taskId: string): boolean {
    return this.#begun.has(taskId);
  }

  /** Takes up an attempt that an earlier process has dispatched; false: it is gone. */
  resume(order: TaskOrder, at: TaskAddress): boolean {
    const { task_id: taskId, agent, attempt: number } = order;
    this.#running.set(taskId, { at, number, isStopped: false, cancelStarted: () => {} });
    if (!this.#shell.transport.resume(order, this.#sinkOf(taskId, at, number))) {
      this.#running.delete(taskId);
      return false;
    }
    this.#begun.add(taskId);
    this.#shell.swarm.hold(taskId, agent);
    return true;
  }

  /** Makes sure that an attempt which an earlier process has called off acts no more; until then nothing starts. */
  callOff(order: TaskOrder, at: TaskAddress): void {
    if (this.resume(order, at)) this.#stop(order.task_id);
  }

  #start(order: TaskOrder, at: TaskAddress): void {
    const { clock, transport } = this.#shell;
    const { task_id: taskId, attempt: number } = order;
    const cancelStarted = clock.after(STARTED_AFTER_MS, () =>
      this.#send(taskId, { type: 'started', ...at, attempt: number }),
    );
    this.#begun.add(taskId);
    this.#running.set(taskId, { at, number, isStopped: false, cancelStarted });
    transport.dispatch(order, this.#sinkOf(taskId, at, number));
  }

  #stop(taskId: string): void {
    const attempt = this.#running.get(taskId);
    if (attempt === undefined || attempt.isStopped) return;
    attempt.isStopped = true;
    this.#stopping += 1;
    void this.#shell.transport
      .stop(taskId)
      .catch((error: unknown) => this.#shell.fail(error))
      .then(() => {
        this.#forget(taskId);
        this.#shell.swarm.release(taskId, 'neutral');
        this.#stopping -= 1;
        if (this.#stopping === 0) this.#owner.onStopped();
      });
  }

  #forget(taskId: string): void {
    this.#running.get(taskId)?.cancelStarted();
    this.#running.delete(taskId);
  }

  #send(taskId: string, input: WorkflowInput): void {
    const attempt = this.#running.get(taskId);
    if (attempt !== undefined && !attempt.isStopped && !this.#shell.isClosing) this.#owner.send(input);
  }

  #sinkOf(taskId: string, at: TaskAddress, attempt: number): TaskSink {
    const { swarm, store } = this.#shell;
    return {
      heartbeat: () => swarm.touch(taskId),
      progress: (progress) => {
        swarm.touch(taskId);
        this.#publishProgress(taskId, at, progress);
      },
      step: async (result) => {
        swarm.touch(taskId);
        const isCurrent = () => this.#running.get(taskId)?.isStopped === false && !this.#shell.isClosing;
        if (isCurrent()) await this.#owner.ask({ type: 'step', ...at, attempt, result });
        if (!isCurrent()) throw new VaporaError('agent_lost', `attempt \`${taskId}\` is no longer current`);
      },
      blob: (ref) => loadBlob(store, ref),
      keep: (content) => saveBlob(store, content),
      end: (outcome) => this.#end(taskId, at, attempt, outcome),
    };
  }

  #publishProgress(taskId: string, at: TaskAddress, progress: Parameters<TaskSink['progress']>[0]): void {
    if (!this.#running.has(taskId)) return;
    const workflow_id = taskId.slice(0, taskId.indexOf('/'));
    this.#shell.publish({
      kind: 'progress',
      workflow_id: workflow_id as WorkflowInstance['id'],
      stage: at.stage,
      role: at.role,
      progress,
    });
  }

  async #end(taskId: string, at: TaskAddress, attempt: number, outcome: TaskOutcome): Promise<boolean> {
    const known = this.#running.get(taskId);
    known?.cancelStarted();
    // what we stopped ourselves has been decided already; what ends because the process goes down is lost, not failed
    if (known === undefined || known.isStopped || this.#shell.isClosing) return false;
    try {
      const ready = inputOf(this.#shell.store, at, attempt, outcome);
      return await this.#deliver(taskId, ready instanceof Promise ? await this.#saved(ready) : ready);
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
  #deliver(taskId: string, input: OutcomeInput): boolean | Promise<boolean> {
    if (this.#running.get(taskId)?.isStopped) return false;
    this.#running.delete(taskId);
    const asked = this.#owner.ask(input);
    this.#shell.swarm.release(taskId, input.type === 'succeeded' ? 'success' : 'failure');
    return asked.then(
      (instance) => isApplied(instance, input),
      // the engine has failed, and says so itself
      () => false,
    );
  }
}
