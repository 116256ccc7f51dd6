/** Templates written in TypeScript, through the same validation as `workflows.toml`. */
import { assert } from '../core/errors.js';
import type { WorkflowTemplate } from '../core/template.js';
import { documentOf, emptyTable } from './document.js';
import { deepFreeze } from './freeze.js';
import { Report } from './report.js';
import { type WorkflowDefinition, workflowShape } from './schema.js';
import { buildSettings, type EngineSettings } from './settings.js';
import { buildTemplate } from './templates.js';

/** The settings that templates take over from the engine that will run them. */
export type TemplateSettings = Partial<
  Pick<
    EngineSettings,
    'workflowTimeoutMs' | 'approvalGatesEnabled' | 'cedarPolicyDir' | 'onDeny' | 'sagaParallelism' | 'limits'
  >
>;

/**
 * A template from a definition with the keys of `[[workflows]]`, frozen. Durations are in seconds, as in the file.
 * Give the `engine` settings of the configuration that it will run under; without them the defaults hold.
 * Throws `config_invalid` with every problem; their paths count from the definition, e.g. `stages[0].agents`.
 */
export function defineWorkflow(
  definition: WorkflowDefinition,
  engine: TemplateSettings = {},
): WorkflowTemplate {
  const report = new Report(null);
  const root = documentOf(definition);
  const row = workflowShape.read(root, [], report);
  const defaults = buildSettings(undefined, '/', emptyTable(null), report);
  const context = { settings: { ...defaults, ...engine }, root, report };
  const template = row === undefined ? null : buildTemplate(row, [], context);
  report.throwIfAny('the workflow definition');
  assert(template !== null, 'a definition without problems makes a template');
  return deepFreeze(template);
}
