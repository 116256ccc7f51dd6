/** A task as agents of every kind get it in JSON: on a command's stdin, or over the network. */
import { isUtf8 } from 'node:buffer';
import type { BlobRef } from '../core/instance.js';
import type { InputArtifact, TaskOrder } from '../core/ports.js';

/** Text of up to this size travels with the task, and so much of it in all. */
export const MAX_CONTENT_BYTES = 64 * 1024;
const MAX_TOTAL_CONTENT_BYTES = 1024 * 1024;

export interface TaskMessageParts {
  readonly input: unknown;
  readonly artifacts: readonly unknown[];
  readonly artifactsToUndo: readonly unknown[];
}

/** What every agent is told about its attempt, whatever it is asked to do. */
export function attemptFacts(order: TaskOrder) {
  return {
    stage_name: order.stage_name,
    workflow_id: order.workflow_id,
    workflow: order.workflow,
    role: order.role,
    agent: order.agent,
    task_id: order.task_id,
    attempt: order.attempt,
    idempotency_key: order.idempotency_key,
    initiator: order.initiator,
    labels: order.labels,
    deadline_at: order.deadline_at,
    traceparent: order.traceparent,
  };
}

export function taskMessage(order: TaskOrder, parts: TaskMessageParts): Readonly<Record<string, unknown>> {
  const { input, artifacts, artifactsToUndo } = parts;
  const facts = { ...attemptFacts(order), steps: order.steps };
  if (order.type === 'task') return { type: order.type, ...facts, input, artifacts };
  return {
    type: order.type,
    ...facts,
    original_context: { input, artifacts },
    artifacts_to_undo: artifactsToUndo,
    reason: order.reason ?? '',
  };
}

export function artifactHead({ name, kind, stage, role, size, digest }: InputArtifact) {
  return { name, kind, stage, role, size, digest };
}

/** For agents elsewhere: small texts with their `content`, everything else with what `elsewhere` says of how to get it. */
export async function remoteTaskMessage(
  order: TaskOrder,
  load: (ref: BlobRef) => Promise<Uint8Array>,
  elsewhere: (ref: BlobRef) => object,
): Promise<Readonly<Record<string, unknown>>> {
  let room = MAX_TOTAL_CONTENT_BYTES;
  const heads = (artifacts: readonly InputArtifact[]) =>
    Promise.all(
      artifacts.map(async (artifact) => {
        const isSmall = artifact.size <= Math.min(MAX_CONTENT_BYTES, room);
        if (isSmall) room -= artifact.size;
        const text = isSmall ? await textOf(artifact, load) : null;
        return { ...artifactHead(artifact), ...(text === null ? elsewhere(artifact) : { content: text }) };
      }),
    );
  return taskMessage(order, {
    input: JSON.parse(Buffer.from(await load(order.input)).toString('utf8')),
    artifacts: await heads(order.artifacts),
    artifactsToUndo: await heads(order.artifacts_to_undo),
  });
}

/** Null: it is no text. */
async function textOf(ref: BlobRef, load: (ref: BlobRef) => Promise<Uint8Array>): Promise<string | null> {
  if (ref.inline !== undefined) return ref.inline;
  const bytes = await load(ref);
  return isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : null;
}
