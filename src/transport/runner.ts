/** What the in-process transport executes: something that can carry out orders for one agent. */
import type { AgentInfo, TaskOrder, TaskOutcome, TaskSink } from '../core/ports.js';

/** An attempt's words on its way; the last one, the outcome, is what `run` resolves with. */
export interface AttemptVoice extends Omit<TaskSink, 'end'> {
  /** Resolves once the outcome is on disk: with false where it came too late to be applied, or the engine is stopping. */
  whenEnded(): Promise<boolean>;
}

/**
 * An agent that orders can be given to: functions in this process, or a command.
 *
 * - `run` carries out one attempt. Whatever goes wrong is an outcome; a rejection or a throw is taken for a retryable failure.
 * - After `abort.signal` is aborted it settles as soon as nothing of the attempt acts any longer.
 * - `stopGraceMs`: how long that may take before the transport gives up waiting and ignores what comes later; null where the
 *   runner itself guarantees an end.
 */
export interface Runner {
  readonly info: AgentInfo;
  readonly stopGraceMs: number | null;
  run(order: TaskOrder, voice: AttemptVoice, abort: AbortSource): Promise<TaskOutcome>;
}

/** Not the signal itself: it is made when it is first asked for, and most attempts never do. */
export type AbortSource = Pick<AbortController, 'signal'>;
