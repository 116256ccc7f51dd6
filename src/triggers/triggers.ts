/** Everything that starts instances besides people. */

import { quoted } from '../config/text.js';
import type { StartResult, WorkflowApi } from '../core/api.js';
import type { Problem } from '../core/errors.js';
import { VaporaError } from '../core/errors.js';
import type { EndedInstances, TriggerBook } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { chainProblems, type WebhookTrigger } from '../core/trigger.js';
import { Chain } from './chain.js';
import { Scheduler, type SchedulerOptions } from './scheduler.js';
import { type Delivery, startOf } from './webhook.js';

export interface TriggersOptions extends SchedulerOptions {
  readonly api: WorkflowApi;
  readonly ended: EndedInstances;
  readonly book: TriggerBook;
  readonly maxInputBytes: number;
  /** Where the secrets of webhooks are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Webhook {
  readonly trigger: WebhookTrigger;
  readonly secret: string;
}

/** Nothing is started by itself before {@link start}: a process that looks at one instance is no place for schedules. */
export class Triggers {
  readonly scheduler: Scheduler;
  readonly #options: TriggersOptions;
  readonly #chain: Chain;
  #webhooks: ReadonlyMap<string, Webhook> = new Map();
  #templates: ReadonlyMap<string, WorkflowTemplate>;

  constructor(options: TriggersOptions, templates: ReadonlyMap<string, WorkflowTemplate>) {
    this.#options = options;
    this.#templates = templates;
    this.scheduler = new Scheduler(options, templates);
    this.#chain = new Chain(options, templates);
  }

  /** Throws `config_invalid` where a secret is missing or templates made by a program trigger each other in a circle. */
  start(): void {
    this.#webhooks = this.#check(this.#templates);
    this.scheduler.start();
    this.#chain.start();
  }

  /** Checks other templates; what it answers has them stand from then on, and can't fail. Throws as `start` does. */
  prepare(templates: ReadonlyMap<string, WorkflowTemplate>): () => void {
    const webhooks = this.#check(templates);
    return () => {
      this.#webhooks = webhooks;
      this.#templates = templates;
      this.scheduler.replace(templates);
      this.#chain.replace(templates);
    };
  }

  /** What ended before this time has started all that it is to start. */
  followedUntil(): Promise<number> {
    return this.#chain.followedUntil();
  }

  async close(): Promise<void> {
    await Promise.all([this.scheduler.close(), this.#chain.close()]);
  }

  /**
   * A request to the webhook of a workflow. Null: its signature holds, and it is none of those that the trigger waits for. Throws
   * `signature_invalid`, also where there is no such webhook (whoever has no secret need not know), and what a start throws.
   */
  async receive(workflow: string, delivery: Delivery): Promise<StartResult | null> {
    const webhook = this.#webhooks.get(workflow);
    if (webhook === undefined) throw new VaporaError('signature_invalid', 'the signature does not match');
    const { api, clock, maxInputBytes: maxBytes, log } = this.#options;
    const limits = { now: clock.now(), maxBytes };
    const request = startOf(workflow, webhook.trigger, webhook.secret, delivery, limits);
    if (request === null) return null;
    const result = await api.start(request);
    log.info({ workflow, instance: result.id, is_new: result.isNew }, 'webhook delivery');
    return result;
  }

  #check(templates: ReadonlyMap<string, WorkflowTemplate>): ReadonlyMap<string, Webhook> {
    const problems: Problem[] = [];
    const problem = (message: string, hint?: string) =>
      problems.push({ message, severity: 'error', ...(hint === undefined ? {} : { hint }) });
    for (const [name, { trail }] of chainProblems(templates)) {
      problem(`workflow ${quoted(name)} can't be triggered: ${trail.map(quoted).join(' after ')}`);
    }
    const webhooks = new Map<string, Webhook>();
    for (const { name, trigger } of templates.values()) {
      if (trigger === 'manual' || trigger.kind !== 'webhook') continue;
      const secret = this.#options.env[trigger.secretEnv] ?? '';
      if (secret.length >= MIN_SECRET_CHARACTERS) webhooks.set(name, { trigger, secret });
      else {
        const what = secret === '' ? 'is not set' : `has fewer than ${MIN_SECRET_CHARACTERS} characters`;
        const variable = `environment variable ${quoted(trigger.secretEnv)}, the secret of the webhook of workflow ${quoted(name)},`;
        problem(
          `${variable} ${what}`,
          'make one with `openssl rand -base64 32`, and give it to the sender as well',
        );
      }
    }
    if (problems.length === 0) return webhooks;
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    throw new VaporaError('config_invalid', `${count} with triggers`, { problems });
  }
}

/** Shorter ones can be guessed. */
const MIN_SECRET_CHARACTERS = 16;
