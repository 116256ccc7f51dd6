/** From an agent's outcome to an input of its instance: content is on disk before anything refers to it. */
import type { WorkflowInput } from '../core/inputs.js';
import {
  type ArtifactRef,
  type BlobRef,
  findTask,
  type TaskAddress,
  type WorkflowInstance,
} from '../core/instance.js';
import type { OutputArtifact, TaskOutcome, WorkflowStore } from '../core/ports.js';
import { inlineRef, saveBlob } from './blobs.js';

export type OutcomeInput = Extract<WorkflowInput, { type: 'succeeded' | 'failed' | 'lost' }>;

/** Synchronous where all content travels inline or is kept already. */
export function inputOf(
  store: WorkflowStore,
  at: TaskAddress,
  attempt: number,
  outcome: TaskOutcome,
): OutcomeInput | Promise<OutcomeInput> {
  if (outcome.status === 'lost') return { type: 'lost', ...at, attempt, reason: outcome.reason };
  const used = outcome.usage === undefined ? {} : { usage: outcome.usage };
  const log = outcome.log === null ? null : inlineRef(outcome.log);
  if (outcome.status === 'failed') {
    const { error, isRetryable } = outcome;
    const input = { type: 'failed', ...at, attempt, error, isRetryable, ...used } as const;
    if (outcome.log === null || log !== null) return { ...input, log };
    return saveBlob(store, outcome.log).then((saved) => ({ ...input, log: saved }));
  }
  const { artifacts, output } = outcome;
  const refs = artifacts.map(({ content }) => refOf(content));
  const isInline = refs.every((ref) => ref !== null) && (outcome.log === null || log !== null);
  const finish = (blobs: readonly (BlobRef | null)[], logRef: BlobRef | null): OutcomeInput => ({
    type: 'succeeded',
    stage: at.stage,
    role: at.role,
    kind: at.kind,
    attempt,
    artifacts: artifacts.flatMap(({ name, kind }, index) => {
      const blob = blobs[index];
      return blob ? [artifactOf(name, kind, blob)] : [];
    }),
    output,
    log: logRef,
    ...used,
  });
  if (isInline) return finish(refs, log);
  return Promise.all([
    Promise.all(artifacts.map(({ content }) => kept(store, content))),
    outcome.log === null ? null : saveBlob(store, outcome.log),
  ]).then(([blobs, logRef]) => finish(blobs, logRef));
}

function refOf(content: OutputArtifact['content']): BlobRef | null {
  return content instanceof Uint8Array ? inlineRef(content) : content;
}

function artifactOf(name: string, kind: string, { digest, size, inline }: BlobRef): ArtifactRef {
  return inline === undefined ? { name, kind, digest, size } : { name, kind, digest, size, inline };
}

function kept(store: WorkflowStore, content: OutputArtifact['content']): BlobRef | Promise<BlobRef> {
  return content instanceof Uint8Array ? saveBlob(store, content) : content;
}

/** Whether an outcome is in the state that was committed with it, or came too late for that. */
export function isApplied(instance: WorkflowInstance, input: OutcomeInput): boolean {
  const task = findTask(instance, input);
  if (task?.attempt !== input.attempt) return input.type !== 'succeeded';
  return input.type === 'succeeded' ? task.status === 'completed' : task.status !== 'cancelled';
}
