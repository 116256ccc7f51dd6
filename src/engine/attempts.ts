/** The attempts of one instance that are with agents now: started, listened to, stopped. */

import { VaporaError } from '../core/errors.js';
import type { WorkflowInput } from '../core/inputs.js';
import type { ArtifactRef, BlobRef, TaskAddress, WorkflowInstance } from '../core/instance.js';
import type { TaskOrder, TaskOutcome, TaskSink } from '../core/ports.js';
import { inlineRef, loadBlob, saveBlob } from './blobs.js';
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

  constructor(shell: Shell, owner: AttemptOwner) {
    this.#shell = shell;
    this.#owner = owner;
  }

  get size(): number {
    return this.#running.size;
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

  #end(taskId: string, at: TaskAddress, attempt: number, outcome: TaskOutcome): void {
    const known = this.#running.get(taskId);
    known?.cancelStarted();
    // what we stopped ourselves has been decided already; what ends because the process goes down is lost, not failed
    if (known === undefined || known.isStopped || this.#shell.isClosing) return;
    const input = this.#inputOf(at, attempt, outcome);
    if (input instanceof Promise) {
      input.then(
        (ready) => this.#deliver(taskId, ready),
        (error: unknown) => this.#shell.fail(error),
      );
    } else {
      this.#deliver(taskId, input);
    }
  }

  /** Only now is the agent free again: what it made is safe, so the next task of its role may well be this instance's. */
  #deliver(taskId: string, input: WorkflowInput): void {
    if (this.#running.get(taskId)?.isStopped) return;
    this.#running.delete(taskId);
    this.#shell.swarm.release(taskId, input.type === 'succeeded' ? 'success' : 'failure');
    this.#owner.send(input);
  }

  /** Synchronous where all content travels inline. */
  #inputOf(at: TaskAddress, attempt: number, outcome: TaskOutcome): WorkflowInput | Promise<WorkflowInput> {
    const log = outcome.log === null ? null : inlineRef(outcome.log);
    if (outcome.status === 'failed') {
      const { error, isRetryable } = outcome;
      const input = { type: 'failed', ...at, attempt, error, isRetryable } as const;
      if (outcome.log === null || log !== null) return { ...input, log };
      return saveBlob(this.#shell.store, outcome.log).then((saved) => ({ ...input, log: saved }));
    }
    const { artifacts, output } = outcome;
    const refs = artifacts.map((artifact) => inlineRef(artifact.content));
    const isInline = refs.every((ref) => ref !== null) && (outcome.log === null || log !== null);
    const finish = (blobs: readonly (BlobRef | null)[], logRef: BlobRef | null): WorkflowInput => ({
      type: 'succeeded',
      stage: at.stage,
      role: at.role,
      kind: at.kind,
      attempt,
      artifacts: artifacts.flatMap(({ name, kind }, index) => {
        const blob = blobs[index];
        return blob ? [refOf(name, kind, blob)] : [];
      }),
      output,
      log: logRef,
    });
    if (isInline) return finish(refs, log);
    const { store } = this.#shell;
    return Promise.all([
      Promise.all(artifacts.map((artifact) => saveBlob(store, artifact.content))),
      outcome.log === null ? null : saveBlob(store, outcome.log),
    ]).then(([blobs, logRef]) => finish(blobs, logRef));
  }
}

function refOf(name: string, kind: string, { digest, size, inline }: BlobRef): ArtifactRef {
  return inline === undefined ? { name, kind, digest, size } : { name, kind, digest, size, inline };
}
