/** A task as a server hands it out, as the order that the SDK's runner carries out. */
import { VaporaError } from '../core/errors.js';
import type { BlobRef, StepResult } from '../core/instance.js';
import { asInstanceId } from '../core/names.js';
import type { InputArtifact, TaskOrder } from '../core/ports.js';
import type { Answer } from './server-calls.js';

export interface RemoteOrder {
  readonly order: TaskOrder;
  readonly lease: string;
  readonly leaseMs: number;
}

/** The server is taken at its word about the rest. Throws `agent_protocol` where it is no task at all. */
export function remoteOrderOf(message: unknown): RemoteOrder {
  const task = recordOf(message);
  const { lease, lease_seconds: seconds } = task;
  if (typeof lease !== 'string' || typeof seconds !== 'number' || typeof task.task_id !== 'string') {
    throw new VaporaError('agent_protocol', 'the server handed out something that is no task');
  }
  const isCompensation = task.type === 'compensation';
  const context = isCompensation ? recordOf(task.original_context) : task;
  const order: TaskOrder = {
    type: isCompensation ? 'compensation' : 'task',
    task_id: task.task_id,
    workflow_id: asInstanceId(String(task.workflow_id)),
    workflow: String(task.workflow),
    stage_name: String(task.stage_name),
    role: String(task.role),
    attempt: Number(task.attempt),
    idempotency_key: String(task.idempotency_key),
    agent: String(task.agent),
    input: inlineOf(JSON.stringify(context.input ?? null)),
    artifacts: artifactsOf(context.artifacts),
    traceparent: typeof task.traceparent === 'string' ? task.traceparent : null,
    steps: Array.isArray(task.steps) ? (task.steps as StepResult[]) : [],
    initiator: String(task.initiator),
    labels: recordOf(task.labels) as Readonly<Record<string, string>>,
    reason: isCompensation ? String(task.reason) : null,
    artifacts_to_undo: artifactsOf(task.artifacts_to_undo),
    deadline_at: typeof task.deadline_at === 'number' ? task.deadline_at : null,
  };
  return { order, lease, leaseMs: seconds * 1_000 };
}

/** Only ever read from: nobody asks for its digest. */
function inlineOf(text: string): BlobRef {
  return { digest: '' as BlobRef['digest'], size: Buffer.byteLength(text), inline: text };
}

function artifactsOf(list: unknown): InputArtifact[] {
  if (!Array.isArray(list)) return [];
  return list.map((item: unknown) => {
    const { content, ...head } = recordOf(item);
    return { ...head, ...(typeof content === 'string' ? { inline: content } : {}) } as InputArtifact;
  });
}

function recordOf(value: unknown): Answer {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
