/** One simulated world: everything in it, and how it goes on from one happening to the next. */
import { createHash } from 'node:crypto';
import { pino } from 'pino';
import type { EventRecord } from '../../src/core/events.js';
import type { Decision } from '../../src/core/instance.js';
import type { Digest } from '../../src/core/names.js';
import type { AgentInfo, AuthorizationRequest, Authorizer, Commit } from '../../src/core/ports.js';
import type { WorkflowTemplate } from '../../src/core/template.js';
import type { WorkflowOrchestrator } from '../../src/engine/orchestrator.js';
import type { Attempt } from './agents.js';
import { chanceOf } from './chance.js';
import { Coverage } from './coverage.js';
import { Disk, type WriteResult, type Written } from './disk.js';
import type { EngineCode } from './engine-code.js';
import { Faults } from './faults.js';
import { Fleet, SimulatedTransport } from './fleet.js';
import { ALLOW_ALL } from './generate.js';
import { decided, isAllowed, SimulatedAuthorizer } from './policy.js';
import { SimulatedProcess } from './process.js';
import type { Chance, Rule, Scenario } from './scenario.js';
import { SimulatedStore } from './store.js';
import { Timeline } from './timeline.js';
import { Trace, WORLD_START } from './trace.js';
import { Watch } from './watch.js';
import { Wishers } from './wishers.js';

/** More than the liveliest world needs: beyond, something goes in circles. */
const MAX_STEPS = 200_000;
const LIMITS = { maxInputBytes: 1_000_000 };
const SILENT = pino({ level: 'silent' });
/** Of the good things that happen by chance, which go on happening. */
const GOOD: readonly Chance[] = ['step', 'look', 'big', 'approved', 'landed'];

export interface WorldOptions {
  readonly scenario: Scenario;
  readonly code: EngineCode;
  readonly isTraced: boolean;
  /** Whether all that happens is checked. What happens must not depend on it. */
  readonly isWatched: boolean;
  /** What Cedar makes of the rules, by rules. */
  readonly cedar: ReadonlyMap<readonly Rule[], Authorizer>;
  /** Begins where this has come to, healed, with nobody who starts anything; null: at the beginning. */
  readonly past: Past | null;
}

export interface Past {
  readonly world: World;
  /** Of the other world's, as it once was. */
  readonly disk: Disk;
  readonly startsAt: number;
}

export class World {
  readonly scenario: Scenario;
  readonly code: EngineCode;
  readonly timeline: Timeline;
  readonly trace: Trace;
  readonly coverage = new Coverage();
  readonly templates: ReadonlyMap<string, WorkflowTemplate>;
  readonly disk: Disk;
  readonly fleet: Fleet;
  readonly faults: Faults;
  /** Null: nobody looks. */
  readonly watch: Watch | null;
  readonly wishers: Wishers;
  /** What the authorizer has allowed: `<instance>/<stage>/<action>/<run>`. */
  readonly permits = new Set<string>();
  /** What it has said last: `<process>/<instance>/<stage>/<action>`. */
  readonly decisions = new Map<string, boolean>();
  readonly #cedar: ReadonlyMap<readonly Rule[], Authorizer>;
  readonly #agents: ReadonlyMap<string, AgentInfo>;
  rules: readonly Rule[];
  /** The process that owns the store, and the engine in it; null: there is none just now. */
  process: SimulatedProcess | null = null;
  engine: WorkflowOrchestrator | null = null;
  /** Number of the process that opened the store last. */
  newest: number;
  isHealed = false;
  violation: string | null = null;
  readonly past: Past | null;
  #ids: number;
  #steps = 0;

  constructor({ scenario, code, isTraced, isWatched, cedar, past }: WorldOptions) {
    this.scenario = scenario;
    this.code = code;
    this.past = past;
    this.#cedar = cedar;
    this.#ids = past === null ? 0 : past.world.#ids;
    this.newest = past === null ? 0 : past.world.newest;
    this.trace = new Trace(isTraced);
    this.timeline = new Timeline(past === null ? WORLD_START : past.startsAt);
    this.templates = new Map(scenario.templates.map((plan) => [plan.name, { ...plan, hash: hashOf(plan) }]));
    const medic = { name: 'medic', roles: rolesOf(scenario), maxConcurrent: 50, leaseMs: null };
    this.#agents = new Map([...scenario.agents, medic].map((info) => [info.name, info]));
    this.rules = scenario.policy;
    this.disk = past === null ? new Disk(code) : past.disk;
    this.fleet = new Fleet(this);
    this.watch = isWatched ? new Watch(this) : null;
    this.wishers = new Wishers(this);
    this.faults = new Faults(this);
    if (past !== null && past.world.watch !== null) this.watch?.readPast(past.disk.log, past.world.watch);
  }

  // ---- going on ----------------------------------------------------------------------------------------------------

  async run(): Promise<void> {
    this.#boot(0);
    this.timeline.after(this.past === null ? this.scenario.healAfterMs : 0, () => this.#heal());
    await this.#drain();
    for (let round = 0; this.violation === null; round += 1) {
      this.#checkRest();
      if (this.violation !== null || !this.wishers.settle(round)) break;
      await this.#drain();
    }
    if (this.violation === null) await this.#checkEnd();
  }

  async #drain(): Promise<void> {
    for (let happens = this.timeline.next(); happens !== null; happens = this.timeline.next()) {
      this.#steps += 1;
      if (this.#steps > MAX_STEPS) this.violate('it goes in circles');
      try {
        happens();
      } catch (error) {
        this.violate(`the engine threw: ${textOf(error)}`);
      }
      await allSettled();
      if (this.violation !== null) return;
    }
  }

  note(line: string): void {
    this.trace.add(this.timeline.now, line);
  }

  violate(words: string): void {
    this.violation ??= words;
    this.note(`VIOLATION: ${words}`);
  }

  newId(): string {
    this.#ids += 1;
    return `n${this.#ids}`;
  }

  // ---- chance ------------------------------------------------------------------------------------------------------

  isSo(chance: Chance, key: string): boolean {
    const share = this.scenario.chances[chance];
    if (share === 0 || (this.isHealed && !GOOD.includes(chance))) return false;
    const isSo = chanceOf(this.scenario.seed, `${chance} ${key}`) < share;
    if (isSo && chance !== 'approved') this.coverage.faultPoint(`chance ${chance}`);
    return isSo;
  }

  spanOf(key: string, least: number, most: number): number {
    return least + Math.floor(chanceOf(this.scenario.seed, key) * (most - least + 1));
  }

  /** Until something is done, and from then until it is known. */
  delaysOf(kind: 'commit' | 'read' | 'content', key: string): [number, number] {
    const chance = kind === 'content' ? 'slow_content' : 'slow_store';
    const most = this.isSo(chance, `${kind} ${key}`) ? 3_000 : 2;
    return [this.spanOf(`before ${kind} ${key}`, 0, most), this.spanOf(`after ${kind} ${key}`, 0, most)];
  }

  // ---- processes ---------------------------------------------------------------------------------------------------

  #boot(clockMs: number): void {
    this.newest += 1;
    this.coverage.data.figures.processes += 1;
    const process = new SimulatedProcess(this, this.newest, clockMs);
    this.process = process;
    this.note(`process ${process.number} begins`);
    const engine = new this.code.orchestrator.WorkflowOrchestrator({
      store: new SimulatedStore(process),
      transport: new SimulatedTransport(process),
      authorizer: new SimulatedAuthorizer(process),
      clock: process.clock,
      log: SILENT,
      templates: this.templates,
      maxParallelTasks: this.scenario.maxParallelTasks,
      limits: LIMITS,
    });
    this.engine = engine;
    engine.subscribe((notice) => {
      if (notice.kind === 'event' && !process.isDead) this.#onTold(notice.event);
    });
    const end = (error: unknown) => {
      const isExpected = process.hasStoreFailed || process.isZombie;
      if (!isExpected && !process.isDead) this.violate(`the engine stops for no reason: ${textOf(error)}`);
      process.die('the engine can not go on', { downMs: 50, clockMs });
    };
    void engine.failed.then(end);
    engine.recover().catch(end);
  }

  onDeath(process: SimulatedProcess, { downMs, clockMs }: { downMs: number; clockMs: number }): void {
    this.fleet.endAllOf(process);
    if (process !== this.process) return;
    this.process = null;
    this.engine = null;
    this.timeline.after(this.isHealed ? 0 : downMs, () => this.#boot(clockMs));
  }

  /** Another process opens the store while `process` stands still. Its agents may be ended with that, or go on. */
  takeOver(process: SimulatedProcess, clockMs: number): void {
    process.isZombie = true;
    this.fleet.cutOffFrom(process);
    this.note(`process ${process.number} is replaced`);
    if (this.spanOf(`orphans ${process.number}`, 0, 1) === 0) this.fleet.endAllOf(process);
    this.#boot(clockMs);
  }

  #heal(): void {
    this.note('everything heals');
    this.isHealed = true;
    this.rules = [ALLOW_ALL];
    for (const info of this.#agents.values()) this.fleet.come(info);
    this.process?.goOn();
    this.fleet.heal();
  }

  // ---- who may, who can --------------------------------------------------------------------------------------------

  decide(process: SimulatedProcess, request: AuthorizationRequest): Decision {
    const { action, resource, context } = request;
    const isAllow = isAllowed(this.rules, request);
    const cedar = this.#cedar.get(this.rules);
    const decision = cedar?.authorize(request) ?? decided(isAllow);
    if ((decision.effect === 'allow') !== isAllow)
      this.violate(`Cedar says ${decision.effect} to ${JSON.stringify(request)}: ${decision.reason}`);
    const model = this.watch?.models.get(context.instance);
    const initiator = context.initiator.user;
    if (
      model !== undefined &&
      model.retryOf === null &&
      action !== 'start-workflow' &&
      initiator !== model.user
    )
      this.violate(`the authorizer is told that ${context.instance} was started by ${initiator}`);
    this.coverage.effect(`authorize ${action}`);
    if (request.principal.type === 'Orchestrator') {
      const place = `${context.instance}/${resource.id}/${action}`;
      this.decisions.set(`${process.number}/${place}`, isAllow);
      if (isAllow) this.permits.add(`${place}/${context.attempt}`);
    }
    return decision;
  }

  knows(agent: string, role: string): boolean {
    return this.#agents.get(agent)?.roles.includes(role) ?? false;
  }

  isElsewhere(agent: string): boolean {
    return this.scenario.elsewhere?.includes(agent) ?? false;
  }

  leaseOf(agent: string): number | null {
    return this.#agents.get(agent)?.leaseMs ?? null;
  }

  // ---- what happens to the disk and beyond ---------------------------------------------------------------------------

  onSaving(process: SimulatedProcess, commit: Commit): void {
    this.watch?.onSaving(process, commit);
    this.wishers.onEvents('saving', commit.events);
  }

  onWritten(process: SimulatedProcess, batch: readonly Written[], results: readonly WriteResult[]): void {
    for (const [index, written] of batch.entries()) {
      const result = results[index];
      if (result === undefined || !('stored' in result)) continue;
      const { next, events } = written.commit;
      const { hash } = written.entry;
      this.note(
        `commit ${next.id}@${next.revision} ${hash.slice(0, 12)} ${events.map(({ type }) => type).join(' ')}`,
      );
      this.watch?.onWritten(process, written);
      this.wishers.onEvents('durable', events);
    }
  }

  #onTold(event: EventRecord): void {
    this.watch?.onTold(event.workflow_id, event.seq);
    this.wishers.onEvents('told', [event]);
  }

  onEffect(attempt: Attempt): void {
    this.note(`effect of ${attempt.order.task_id}`);
    this.watch?.onEffect(attempt);
  }

  // ---- checks ------------------------------------------------------------------------------------------------------

  /** Nothing is going to happen any more by itself: then nothing may be waiting for it to. */
  #checkRest(): void {
    const { engine } = this;
    if (this.watch === null) return;
    if (engine === null) return this.violate('no process is left');
    for (const [id, { instance }] of this.disk.data.instances) {
      const isUndoing = instance.stages.some(({ compensation }) => compensation.status === 'running');
      const isResting =
        !this.code.instance.isLive(instance) ||
        (!isUndoing && (instance.status === 'waiting_approval' || instance.status === 'blocked'));
      if (!isResting) this.violate(`instance ${id} is ${instance.status} and nothing goes on`);
    }
    this.watch.checkRest();
    const { queued, inFlight } = engine.swarm;
    if (queued > 0) this.violate(`${queued} tasks wait for an agent though all are free`);
    if (inFlight > 0) this.violate(`the capacity of ${inFlight} attempts is not given back`);
    if (engine.awake > 0) this.violate(`${engine.awake} instances are awake though nothing goes on`);
  }

  async #checkEnd(): Promise<void> {
    const { engine, disk } = this;
    this.coverage.data.figures.instances += disk.data.instances.size;
    this.coverage.data.figures.faults += this.faults.count;
    for (const [id, { instance }] of disk.data.instances) {
      this.coverage.end(instance.status);
      this.watch?.checkLog(disk, instance);
      // a whole audit by the engine itself, of one in some
      if (engine === null || chanceOf(this.scenario.seed, `audit ${id}`) > 0.1) continue;
      let answer = 'nothing';
      engine.verifyAudit(id).then(
        ({ broken }) => {
          answer = broken?.reason ?? 'whole';
        },
        (error: unknown) => {
          answer = textOf(error);
        },
      );
      await this.#drain();
      if (answer !== 'whole') this.violate(`the audit of ${id} finds ${answer}`);
    }
  }
}

/** Resolves when nothing is left to go on that does not wait for the world. */
function allSettled(): Promise<void> {
  // is called in a microtask, and what is queued here comes after all of those
  return new Promise((resolve) => process.nextTick(resolve));
}

function rolesOf({ templates }: Scenario): readonly string[] {
  const stages = templates.flatMap((template) => template.stages);
  return [...new Set(stages.flatMap((stage) => [...stage.agents, ...stage.compensationAgents]))];
}

function hashOf(plan: Scenario['templates'][number]): Digest {
  return createHash('sha256').update(JSON.stringify(plan)).digest('hex') as Digest;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.stack ?? error.cause.message})` : '';
  return `${error.stack ?? error.message}${cause}`;
}
