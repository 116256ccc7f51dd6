/** Dead letters are not stored twice: each is a stage whose compensation ran out of attempts. */
import type { DeadLetter } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import type { StageState, WorkflowInstance } from '../core/instance.js';

export function deadLetterOf(instance: WorkflowInstance, stage: StageState): DeadLetter {
  const failed = stage.compensation.tasks.find((task) => task.status === 'failed');
  return {
    id: `${instance.id}/${stage.name}`,
    workflow_id: instance.id,
    workflow: instance.templateName,
    stage: stage.name,
    code: failed?.error?.code ?? 'task_failed',
    message: stage.compensation.reason ?? '',
    attempts: failed?.attempt ?? 0,
    at: stage.compensation.endedAt ?? instance.updatedAt,
  };
}

/** Throws `dead_letter_unknown` for what is not `<instance>/<stage>`. */
export function parseLetter(letter: string): { id: string; stage: string } {
  const [id, stage, ...rest] = letter.split('/');
  if (id && stage && rest.length === 0) return { id, stage };
  throw new VaporaError('dead_letter_unknown', `\`${letter.slice(0, 80)}\` is not a dead letter`, {
    hint: 'dead letters are named `<instance>/<stage>`; `vapora dead-letters` lists them',
  });
}
