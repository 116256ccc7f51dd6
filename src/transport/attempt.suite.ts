/** What the tests of agents share: a clock of the machine's, orders, and a sink that remembers. */
import { createHash } from 'node:crypto';
import type { BlobRef, StepResult } from '../core/instance.js';
import { asDigest, asInstanceId } from '../core/names.js';
import type {
  Clock,
  InputArtifact,
  OutputArtifact,
  Progress,
  TaskOrder,
  TaskOutcome,
  TaskSink,
} from '../core/ports.js';

let ids = 0;

export const realClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => 0.5,
  newId: () => `id-${++ids}`,
};

export const pause = (delayMs: number) => new Promise<void>((resolve) => setTimeout(resolve, delayMs));

export async function until(isTrue: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error('it did not come true in time');
    await pause(10);
  }
}

/** Contents that travel by reference in a test. */
export const blobs = new Map<string, Uint8Array>();

export function blobOf(content: string | Uint8Array): BlobRef {
  const bytes = Buffer.from(content);
  const digest = asDigest(createHash('sha256').update(bytes).digest('hex'));
  if (typeof content === 'string' && bytes.length <= 4_096) {
    return { digest, size: bytes.length, inline: content };
  }
  blobs.set(digest, new Uint8Array(bytes));
  return { digest, size: bytes.length };
}

export function inputArtifact(
  name: string,
  content: string | Uint8Array,
  more: { stage?: string; kind?: string; role?: string } = {},
): InputArtifact {
  return { name, kind: 'code', stage: 'build', role: 'builder', ...more, ...blobOf(content) };
}

export function orderOf(more: Partial<TaskOrder> = {}): TaskOrder {
  ids += 1;
  return {
    type: 'task',
    task_id: `wf-1/deploy/deployer/execute#${ids}`,
    workflow_id: asInstanceId('wf-1'),
    workflow: 'release',
    stage_name: 'deploy',
    role: 'deployer',
    attempt: 1,
    idempotency_key: 'wf-1/deploy/deployer/execute',
    agent: 'robot',
    input: blobOf('{"version":"1.2"}'),
    artifacts: [],
    steps: [],
    initiator: 'ann',
    labels: {},
    reason: null,
    artifacts_to_undo: [],
    traceparent: null,
    deadline_at: null,
    ...more,
  };
}

/** Remembers everything that it is told. */
export class MemorySink implements TaskSink {
  readonly outcomes: TaskOutcome[] = [];
  readonly steps: StepResult[] = [];
  readonly progresses: Progress[] = [];
  heartbeats = 0;
  readonly ended: Promise<TaskOutcome>;
  #onEnd: (outcome: TaskOutcome) => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve;
    });
  }

  heartbeat(): void {
    this.heartbeats += 1;
  }

  progress(progress: Progress): void {
    this.progresses.push(progress);
  }

  async step(result: StepResult): Promise<void> {
    await pause(1);
    this.steps.push(result);
  }

  async blob(ref: BlobRef): Promise<Uint8Array> {
    const bytes = blobs.get(ref.digest);
    if (bytes === undefined) throw new Error('no such blob');
    return bytes;
  }

  async keep(content: Uint8Array): Promise<BlobRef> {
    return blobOf(content);
  }

  async end(outcome: TaskOutcome): Promise<boolean> {
    this.outcomes.push(outcome);
    this.#onEnd(outcome);
    return true;
  }
}

/** The message of a failure; fails the test on anything else. */
export function failureOf(outcome: TaskOutcome): { code: string; message: string; isRetryable: boolean } {
  if (outcome.status !== 'failed') throw new Error(`not failed: ${JSON.stringify(outcome)}`);
  return { ...outcome.error, isRetryable: outcome.isRetryable };
}

/** Artifacts as text by name; fails the test where the attempt failed. */
export function artifactsOf(outcome: TaskOutcome): Record<string, string> {
  if (outcome.status !== 'completed') throw new Error(`not completed: ${JSON.stringify(outcome)}`);
  return Object.fromEntries(outcome.artifacts.map(({ name, content }) => [name, textOf(content)]));
}

export function logOf(outcome: TaskOutcome): string {
  return outcome.status === 'lost' ? '' : Buffer.from(outcome.log ?? []).toString('utf8');
}

function textOf(content: OutputArtifact['content']): string {
  if (content instanceof Uint8Array) return Buffer.from(content).toString('utf8');
  return content.inline ?? Buffer.from(blobs.get(content.digest) ?? []).toString('utf8');
}
