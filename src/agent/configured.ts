/** The runner of an agent that the configuration names, by its kind. */
import { type AgentConfig, isCommandAgent, isModelAgent } from '../config/agents.js';
import type { Runner } from '../transport/runner.js';
import { type CommandRunnerOptions, createCommandRunner } from './command.js';
import { createModelRunner, type ModelRunnerOptions } from './model.js';
import { createWebhookRunner, type WebhookRunnerOptions } from './webhook.js';

export type ConfiguredRunnerOptions = CommandRunnerOptions & ModelRunnerOptions & WebhookRunnerOptions;

/** Throws `config_invalid` and `destination_refused`. */
export function createConfiguredRunner(agent: AgentConfig, options: ConfiguredRunnerOptions): Runner {
  if (isCommandAgent(agent)) return createCommandRunner(agent, options);
  return isModelAgent(agent) ? createModelRunner(agent, options) : createWebhookRunner(agent, options);
}
