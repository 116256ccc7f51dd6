/**
 * An engine under torture, with agents in its process, a client that starts instances, and an operator who approves, rejects and
 * cancels. What the client was told is noted outside of the store. Arguments: directory, seed, number of instances in all.
 */
import pino from 'pino';
import type { CompensationTask } from '../../src/agent/agent.js';
import {
  type Agent,
  defineAgent,
  PermanentError,
  type Task,
  type TaskContext,
} from '../../src/agent/agent.js';
import { type Engine, openEngine } from '../../src/compose.js';
import { defineWorkflow } from '../../src/config/define.js';
import { loadConfig } from '../../src/config/load.js';
import { VaporaError } from '../../src/core/errors.js';
import { deadLettersOf, isTerminal, type WorkflowInstance } from '../../src/core/instance.js';
import { Chance } from './chance.js';
import { placeOf } from './episode-files.js';
import { around, reach } from './kill-points.js';
import { Ledger, Notes, textOf } from './ledger.js';
import { Sampler } from './sampler.js';
import { contentOf, idOf, WORKLOADS, type Workload, workloadOf } from './workload.js';

const LINES = 64;
const COMMAND_LINES = 10;
const AGENT_LIMIT = 10_000;
const LEASE_MS = 300;
const OPERATOR = { user: 'operator', groups: [] };
const CLIENT = { user: 'client', groups: ['clients'] };

type Order = Task | CompensationTask;

class Agents {
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  all(): Agent[] {
    const agent = (name: string, more: Partial<Agent> = {}): Agent =>
      defineAgent({
        name,
        roles: [name],
        maxConcurrent: AGENT_LIMIT,
        execute: (task, ctx) => this.#work(task, ctx),
        compensate: (task, ctx) => this.#work(task, ctx),
        ...more,
      });
    return [
      agent('work'),
      agent('more'),
      agent('help'),
      agent('flaky', { execute: (task, ctx) => this.#flaky(task, ctx) }),
      agent('leased', { leaseMs: LEASE_MS }),
      agent('steps', { execute: (task, ctx) => this.#steps(task, ctx) }),
      agent('broken', { execute: (task) => this.#broken(task) }),
      agent('stuck', { compensate: (task) => this.#broken(task) }),
    ];
  }

  async #work(task: Order, _ctx: TaskContext) {
    const { idempotency_key: key, attempt } = task;
    await this.#begin(key, attempt);
    reach('effect', 'before');
    await this.#ledger.act(key, attempt);
    reach('effect', 'after');
    reach('done', 'before');
    await this.#ledger.write('d', key, attempt);
    reach('done', 'after');
    return { artifacts: [{ name: 'result', kind: 'code', content: contentOf(key) }] };
  }

  async #begin(key: string, attempt: number): Promise<void> {
    reach('begin', 'before');
    await this.#ledger.write('b', key, attempt);
    reach('begin', 'after');
  }

  async #flaky(task: Task, ctx: TaskContext) {
    if (task.attempt > 1) return this.#work(task, ctx);
    await this.#begin(task.idempotency_key, task.attempt);
    throw new Error('not the first time');
  }

  /** Steps that were kept are not done again: the value that comes back is of the attempt that did them. */
  async #steps(task: Task, ctx: TaskContext) {
    const made = await ctx.step('make', () => ({ by: task.attempt }));
    const again = await ctx.step('check', () => ({ of: made.by }));
    if (again.of !== made.by) throw new PermanentError('a kept step was done again');
    return this.#work(task, ctx);
  }

  async #broken(task: Order): Promise<never> {
    const { idempotency_key: key, attempt } = task;
    await this.#begin(key, attempt);
    await this.#ledger.write('d', key, attempt);
    throw new PermanentError('breaks, as it should');
  }
}

/** Sees one instance through, from wherever it is. Whatever it is told is noted. */
class Client {
  readonly #engine: Engine;
  readonly #notes: Notes;
  readonly #seed: string;
  readonly #sampler: Sampler | null;

  constructor(engine: Engine, notes: Notes, seed: string, sampler: Sampler | null) {
    this.#engine = engine;
    this.#notes = notes;
    this.#seed = seed;
    this.#sampler = sampler;
  }

  async see(id: string): Promise<void> {
    const { api } = this.#engine;
    const workload = workloadOf(this.#seed, id);
    const began = performance.now();
    await api.start({ workflow: workload.name, input: { id }, initiator: CLIENT, id });
    this.#sampler?.started(performance.now() - began);
    this.#notes.write('started', id);
    if (workload.wish === 'cancel') await this.#cancel(id);
    let instance = await api.untilRest(id);
    if (!isTerminal(instance.status) && instance.status === 'waiting_approval') {
      await this.#decide(instance, workload);
      instance = await api.untilRest(id);
    }
    if (!isTerminal(instance.status)) throw new Error(`${id} rests as ${instance.status}`);
    this.#notes.write('ended', id, instance.status);
    const isUnaided = workload.wish === null && !workload.isCommand;
    this.#sampler?.ended(isUnaided ? performance.now() - began : null);
    if (new Chance(this.#seed, id, 'letters').happens(0.5)) await this.#resolve(instance);
  }

  async #cancel(id: string): Promise<void> {
    const chance = new Chance(this.#seed, id, 'cancel');
    await new Promise((resolve) => setTimeout(resolve, chance.integer(60)));
    await this.#wish('cancelled', id, () => this.#engine.api.cancel(id, OPERATOR, { compensate: true }));
  }

  async #decide(instance: WorkflowInstance, { wish }: Workload): Promise<void> {
    const { api } = this.#engine;
    const { id } = instance;
    const stage = instance.stages.find(({ status }) => status === 'waiting_approval')?.name ?? '';
    if (wish === 'approve') await this.#wish('approved', id, () => api.approve(id, stage, OPERATOR));
    else await this.#wish('rejected', id, () => api.reject(id, stage, OPERATOR, 'not this one'));
  }

  async #resolve(instance: WorkflowInstance): Promise<void> {
    for (const { name } of deadLettersOf(instance)) {
      const letter = `${instance.id}/${name}`;
      const resolve = () => this.#engine.api.resolveDeadLetter(letter, OPERATOR, 'taken back by hand');
      await this.#wish('resolved', instance.id, resolve);
    }
  }

  async #wish(word: string, id: string, wish: () => Promise<unknown>): Promise<void> {
    try {
      await wish();
      this.#notes.write(word, id);
    } catch (error) {
      // it came to its end before, or an earlier engine heard the wish and was killed before it could say so
      const codes = ['instance_ended', 'not_waiting', 'letter_closed', 'not_rollbackable'];
      if (!(error instanceof VaporaError) || !codes.includes(error.code)) throw error;
    }
  }
}

/** Resolves for one after the other, so many a second; null: there is no hurry to be held back. */
function paceOf(perSecond: number): (() => Promise<void>) | null {
  if (perSecond === 0) return null;
  let next = performance.now();
  return async () => {
    next = Math.max(next + 1000 / perSecond, performance.now());
    await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
  };
}

async function main(directory: string, seed: string, count: number): Promise<void> {
  const place = placeOf(directory);
  const config = await loadConfig(place.config, {});
  const agents = new Agents(await Ledger.open(place.ledger)).all();
  const workflows = WORKLOADS.map(({ name, stages }) => defineWorkflow({ name, stages }, config.engine));
  const logger = pino({ level: 'silent' });
  const engine = await around('open', () => openEngine(config, { agents, workflows, logger }));
  engine.failed.then((error) => {
    process.stderr.write(`${error.code}: ${error.message}\n`);
    process.exit(5);
  });
  process.stdout.write('ready\n');
  await around('recover', () => engine.recover());
  const notes = new Notes(place.notes);
  const ended = new Set(textOf(place.notes).match(/(?<=^ended )\S+/gm));
  const ids = Array.from({ length: count }, (_, index) => idOf(index)).filter((id) => !ended.has(id));
  const pace = paceOf(Number(process.env.TORTURE_PER_SECOND ?? 0));
  const client = new Client(engine, notes, seed, pace === null ? null : new Sampler());
  const queues = [false, true].map((isCommand) =>
    ids.filter((id) => workloadOf(seed, id).isCommand === isCommand).reverse(),
  );
  const lines = queues.flatMap((queue, index) =>
    Array.from({ length: index === 0 ? LINES : COMMAND_LINES }, async () => {
      for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
        await pace?.();
        await client.see(id);
      }
    }),
  );
  await Promise.all(lines);
  process.stdout.write('idle\n');
  for await (const _ of process.stdin);
  await around('close', () => engine.close());
  process.exit(0);
}

const [directory = '', seed = '', count = ''] = process.argv.slice(2);
main(directory, seed, Number(count)).catch((error: unknown) => {
  const isRefusal = error instanceof VaporaError;
  process.stderr.write(isRefusal ? `${error.code}: ${error.message}\n` : `${String(error)}\n`);
  process.exit(isRefusal ? 5 : 6);
});
