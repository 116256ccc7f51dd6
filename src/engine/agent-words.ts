/** What the engine hears of agents beside the attempts that it has started: claims after a restart, and results that come too late. */
import { findTask, isInFlight, type TaskAddress, type TaskKind } from '../core/instance.js';
import { asInstanceId } from '../core/names.js';
import type { Roster } from './roster.js';

/** What an agent handed in, where nobody waits for it any more. */
export interface LateResult {
  readonly taskId: string;
  readonly status: 'completed' | 'failed';
  /** Who says, without proof, that the attempt was theirs; null: it certainly was. */
  readonly claimant: string | null;
}

interface TaskPlace extends TaskAddress {
  readonly instance: string;
  readonly attempt: number;
}

export class AgentWords {
  readonly #roster: Roster;

  constructor(roster: Roster) {
    this.#roster = roster;
  }

  /** An agent says that it is still at the attempt: its instance is woken, and takes the attempt up where it is current. */
  async claimed(taskId: string): Promise<void> {
    const place = placeOf(taskId);
    if (place !== null) await this.#roster.wake(asInstanceId(place.instance));
  }

  /**
   * True: the attempt is completed, as it says, by an answer whose acknowledgement was lost with an earlier process. Otherwise it is recorded in
   * the history, and never applied. Throws `instance_unknown`.
   */
  async late({ taskId, status, claimant }: LateResult): Promise<boolean> {
    const place = placeOf(taskId);
    if (place === null) return false;
    const { instance, ...at } = place;
    let isKnown = false;
    await this.#roster.tell(asInstanceId(instance), (actor) => {
      const task = actor.instance === null ? undefined : findTask(actor.instance, at);
      // of an attempt that is current somebody else will tell; once it is not, it never is again
      if (task === undefined || (task.attempt === at.attempt && isInFlight(task))) return;
      // a stranger's word has no place in the history
      if (claimant !== null && (task.attempt !== at.attempt || task.agent !== claimant)) return;
      isKnown = task.attempt === at.attempt && task.status === 'completed' && status === 'completed';
      if (isKnown) return;
      if (status === 'completed') {
        actor.send({ type: 'succeeded', ...at, artifacts: [], output: null, log: null });
      } else {
        const error = { code: 'agent_failed', message: 'it came too late' } as const;
        actor.send({ type: 'failed', ...at, error, isRetryable: true, log: null });
      }
    });
    return isKnown;
  }
}

/** `<instance>/<stage>/<role>/<kind>[/<run>]#<attempt>`; null: it is no attempt's id. */
function placeOf(taskId: string): TaskPlace | null {
  const [, instance, stage, role, kind, number] =
    /^([^/#]+)\/([^/#]+)\/([^/#]+)\/(execute|compensate)(?:\/\d+)?#(\d{1,9})$/.exec(taskId) ?? [];
  if (instance === undefined || stage === undefined || role === undefined) return null;
  return { instance, stage, role, kind: kind as TaskKind, attempt: Number(number) };
}
