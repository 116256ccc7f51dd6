import { stageAt, type WorkflowInstance } from './instance.js';
import type { StageTemplate, WorkflowTemplate } from './template.js';

/** The irreversible stages that have had a task dispatched: from then on their effect can't be ruled out. */
export function passedStages(template: WorkflowTemplate, instance: WorkflowInstance): StageTemplate[] {
  return template.stages.filter(
    (stage) =>
      stage.irreversible &&
      stageAt(template, instance, stage.name).tasks.some(
        (task) => task.attempt > 0 || task.status === 'completed',
      ),
  );
}

/** The first of {@link passedStages}; undefined: the whole instance can still be taken back. */
export function irreversiblePassed(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
): StageTemplate | undefined {
  return passedStages(template, instance)[0];
}
