import type { WorkflowInstance } from './instance.js';
import type { StageTemplate, WorkflowTemplate } from './template.js';

/** Whether an irreversible stage has had a task dispatched: from then on its effect can't be ruled out. */
export function irreversiblePassed(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
): StageTemplate | undefined {
  return template.stages.find((stage) => {
    if (!stage.irreversible) return false;
    const state = instance.stages.find((candidate) => candidate.name === stage.name);
    return state?.tasks.some((task) => task.attempt > 0 || task.status === 'completed') ?? false;
  });
}
