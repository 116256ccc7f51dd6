/** New instances: of a start, and of a retry of one that has ended. */
import type { StartResult } from '../core/api.js';
import { decideCreate, denied } from '../core/decide.js';
import { VaporaError } from '../core/errors.js';
import type { Decision, Principal, WorkflowInstance } from '../core/instance.js';
import { asInstanceId, type InstanceId, MAX_NAME_CHARACTERS } from '../core/names.js';
import type { StoredInstance } from '../core/ports.js';
import type { WorkflowTemplate } from '../core/template.js';
import { saveBlob } from './blobs.js';
import type { Callers } from './callers.js';
import { startRequest } from './requests.js';
import type { Roster } from './roster.js';
import { momentOf, type Shell } from './shell.js';
import type { CheckedStart } from './start.js';

/** Tasks that wait for an agent before new instances are refused. */
const MAX_QUEUED_TASKS = 50_000;

interface Parts {
  readonly shell: Shell;
  readonly roster: Roster;
  readonly callers: Callers;
  readonly find: (id: InstanceId) => Promise<StoredInstance | null>;
}

export class Starts {
  readonly #parts: Parts;
  /** The last that is to make the instance of an id. */
  readonly #making = new Map<string, Promise<unknown>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Throws `unauthorized`, `engine_overloaded`, and `instance_exists` where the id was started with something else. */
  async start(checked: CheckedStart, initiator: Principal): Promise<StartResult> {
    const { clock, authorizer, log } = this.#parts.shell;
    const { template } = checked;
    const id = asInstanceId(checked.id ?? clock.newId());
    const decision = authorizer.authorize(
      startRequest(template, initiator, id, Object.fromEntries(checked.labels)),
    );
    if (decision.effect === 'deny') {
      const { reason } = decision;
      log.warn({ workflow: template.name, by: initiator.user, reason }, 'start denied');
      throw denied(`start-workflow\` of \`${template.name}`, decision);
    }
    if (checked.id === null) return this.#create(id, checked, initiator, decision);
    return this.#inTurn(id, async () => {
      const existing = await this.#parts.find(id);
      return existing === null
        ? this.#create(id, checked, initiator, decision)
        : sameStart(existing, checked);
    });
  }

  /** The instance that goes on from one that has ended. Throws `instance_exists` where its id was given to another. */
  succeed(
    instance: WorkflowInstance,
    template: WorkflowTemplate,
    decision: Decision,
  ): Promise<WorkflowInstance> {
    const id = successorId(instance.id);
    return this.#inTurn(id, async () => {
      const existing = await this.#parts.find(id);
      if (existing?.instance.retryOf === instance.id) return existing.instance;
      if (existing !== null) {
        throw new VaporaError('instance_exists', `\`${id}\`, the id of the retry, is taken`, {
          hint: 'start the workflow anew with an id of its own',
        });
      }
      const { input, initiator, labels } = instance;
      return this.#begin(template, id, { id, input, initiator, labels, decision, retryOf: instance });
    });
  }

  /** Two that make an instance of one id go one after the other, so that the second finds what the first has made. */
  #inTurn<T>(id: string, make: () => Promise<T>): Promise<T> {
    const before = this.#making.get(id);
    const making = before === undefined ? make() : before.then(make, make);
    this.#making.set(id, making);
    return making.finally(() => {
      if (this.#making.get(id) === making) this.#making.delete(id);
    });
  }

  async #create(
    id: InstanceId,
    checked: CheckedStart,
    initiator: Principal,
    decision: Decision,
  ): Promise<StartResult> {
    const { swarm, store } = this.#parts.shell;
    const { template, labels } = checked;
    if (swarm.queued >= MAX_QUEUED_TASKS) {
      throw new VaporaError('engine_overloaded', `${MAX_QUEUED_TASKS} tasks wait for an agent`, {
        hint: 'try again later',
      });
    }
    const input = await saveBlob(store, checked.input);
    try {
      await this.#begin(template, id, { id, input, initiator, labels, decision, retryOf: null });
      return { id, isNew: true };
    } catch (error) {
      if (!(error instanceof VaporaError) || error.code !== 'instance_exists') throw error;
      const existing = await this.#parts.find(id);
      if (existing === null) throw error;
      return sameStart(existing, checked);
    }
  }

  async #begin(
    template: WorkflowTemplate,
    id: InstanceId,
    create: Parameters<typeof decideCreate>[1],
  ): Promise<WorkflowInstance> {
    const { roster, callers, shell } = this.#parts;
    await roster.keepTemplate(template);
    const moment = momentOf(shell, template, null);
    const actor = roster.add(template, id, null);
    const events = decideCreate(template, create, moment);
    try {
      return await callers.wait(actor.ask({ type: 'create', events, at: moment.now }));
    } catch (error) {
      roster.remove(actor);
      throw error;
    }
  }
}

function sameStart(existing: StoredInstance, checked: CheckedStart): StartResult {
  const { instance } = existing;
  if (instance.templateName === checked.template.name && instance.input.digest === checked.inputDigest) {
    return { id: instance.id, isNew: false };
  }
  const what =
    instance.templateName === checked.template.name
      ? 'another input'
      : `workflow \`${instance.templateName}\``;
  throw new VaporaError('instance_exists', `instance \`${instance.id}\` was started with ${what}`, {
    hint: 'take another id; the same id is for the very same start',
  });
}

/**
 * Deterministic, so that retrying twice is one retry: `x` is followed by `x.retry-1`, that by `x.retry-2`. The word keeps it apart from
 * the versions that people put into ids. Cut where an id may be no longer.
 */
function successorId(id: InstanceId): InstanceId {
  const [, base = id, number = '0'] = /^(.*)\.retry-(\d+)$/u.exec(id) ?? [];
  const suffix = `.retry-${Number(number) + 1}`;
  return asInstanceId([...base].slice(0, MAX_NAME_CHARACTERS - suffix.length).join('') + suffix);
}
