/** What an engine takes over from a configuration when it is opened, and again while it runs. */
import type { Logger } from 'pino';
import { AllowAllAuthorizer } from '../auth/allow-all.js';
import { CedarAuthorizer } from '../auth/cedar.js';
import type { EngineConfig } from '../config/load.js';
import { VaporaError } from '../core/errors.js';
import type { WorkflowTemplate } from '../core/template.js';
import type { Engine } from './engine.js';

export function templatesOf(
  config: EngineConfig,
  workflows: readonly WorkflowTemplate[],
): Map<string, WorkflowTemplate> {
  return new Map([...config.templates, ...workflows.map((template) => [template.name, template] as const)]);
}

export async function openAuthorizer(
  directory: string | null,
  log: Logger,
): Promise<CedarAuthorizer | AllowAllAuthorizer> {
  if (directory !== null) return CedarAuthorizer.loadFromDir(directory);
  log.warn('authorization is off: no `cedar_policy_dir` is configured, so everything is allowed');
  return new AllowAllAuthorizer();
}

export async function reload(
  parts: Pick<Engine, 'authorizer' | 'triggers'> & { readonly templates: Map<string, WorkflowTemplate> },
  next: EngineConfig,
  workflows: readonly WorkflowTemplate[],
): Promise<void> {
  const { authorizer, triggers, templates } = parts;
  const all = templatesOf(next, workflows);
  const replaceTriggers = triggers.prepare(all);
  await reloadPolicies(authorizer, next.engine.cedarPolicyDir);
  // nothing from here on can fail
  replaceTriggers();
  templates.clear();
  for (const [name, template] of all) templates.set(name, template);
}

/** Throws `policy_invalid`, also where enforcing would have to begin or end: that takes a restart. */
async function reloadPolicies(
  authorizer: CedarAuthorizer | AllowAllAuthorizer,
  directory: string | null,
): Promise<void> {
  if (authorizer instanceof CedarAuthorizer && directory !== null) return authorizer.reload(directory);
  if (authorizer.isEnforcing === (directory !== null)) return;
  throw new VaporaError('policy_invalid', '`cedar_policy_dir` was added or taken away', {
    hint: 'restart the server to turn authorization on or off',
  });
}
