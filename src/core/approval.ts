/** What an approval covers. */
import type { Moment } from './inputs.js';
import type { StageState, WorkflowInstance } from './instance.js';
import type { Digest } from './names.js';
import { ancestorsOf, type WorkflowTemplate } from './template.js';

/**
 * Digest of exactly what is approved for `stage`: the template, the stage, the input, and every artifact of the stages before it.
 * The encoding is a JSON array of arrays of strings, so no two contents share one encoding.
 */
export function approvalDigest(
  template: WorkflowTemplate,
  instance: WorkflowInstance,
  stage: string,
  moment: Moment,
): Digest {
  const before = ancestorsOf(template, stage);
  const artifacts = instance.stages
    .filter((candidate) => before.has(candidate.name))
    .flatMap((candidate) =>
      candidate.tasks.flatMap((task) =>
        task.artifacts.map((artifact) => [
          candidate.name,
          task.role,
          artifact.name,
          artifact.kind,
          artifact.digest,
        ]),
      ),
    );
  return moment.digest(JSON.stringify([template.hash, stage, instance.input.digest, artifacts]));
}

/** The approval that counts now: given, and for what would be approved now. */
export function isApproved(stage: StageState, current: Digest): boolean {
  return stage.approval?.status === 'approved' && stage.approval.digest === current;
}
