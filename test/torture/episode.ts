/** One store from its beginning to its end: engines that are killed one after the other, then one that is not, then the check. */
import { rmSync } from 'node:fs';
import { Chance } from './chance.js';
import { check, type Finding } from './check.js';
import { layOut, type Place } from './episode-files.js';
import { type Fact, parseFacts } from './facts.js';
import { readLedger, textOf } from './ledger.js';
import { POINTS } from './points.js';
import { commandsOf, kill, Program, pause } from './processes.js';
import { workloadOf } from './workload.js';

export interface EpisodePlan {
  readonly number: number;
  readonly seed: string;
  readonly directory: string;
  readonly kills: number;
  readonly instancesPerKill: number;
}

export interface Kill {
  /** A named point, or `random`, `while opening`, `commands`, `commands and engine`. */
  readonly at: string;
  /** Instances that had been started and had not ended when it happened. */
  readonly underWay: readonly string[];
}

export interface EpisodeResult {
  readonly plan: EpisodePlan;
  readonly instances: number;
  readonly events: number;
  readonly attempts: number;
  readonly kills: readonly Kill[];
  /** Points that were asked for and not reached: nothing of the kind happened in that engine's life. */
  readonly missed: readonly string[];
  readonly findings: readonly Finding[];
}

const OPEN_LIMIT_MS = 60_000;
const END_LIMIT_MS = 300_000;
/** An engine that does not get to its point in this time is killed where it is. */
const POINT_LIMIT_MS = 4_000;
const KINDS = [
  { kind: 'point', weight: 70 },
  { kind: 'random', weight: 14 },
  { kind: 'opening', weight: 6 },
  { kind: 'commands', weight: 4 },
  { kind: 'both', weight: 6 },
] as const;

export class Episode {
  readonly #plan: EpisodePlan;
  readonly #place: Place;
  readonly #chance: Chance;
  readonly #kills: Kill[] = [];
  readonly #missed: string[] = [];
  readonly #sagaParallelism: number;
  /** Named points come in turn, so that a long run gets to all of them. */
  #nextPoint: number;

  constructor(plan: EpisodePlan) {
    this.#plan = plan;
    this.#chance = new Chance(plan.seed, plan.number);
    this.#sagaParallelism = plan.number % 3 === 2 ? 2 : 1;
    this.#place = layOut(plan.directory, this.#sagaParallelism);
    this.#nextPoint = new Chance(plan.seed).integer(POINTS.length) + plan.number * plan.kills;
  }

  async run(): Promise<EpisodeResult> {
    const { kills, directory } = this.#plan;
    while (this.#kills.length < kills) await this.#round();
    const stuck = await this.#finish();
    const orphans = await this.#orphans();
    const { facts, problem } = await this.#facts();
    const findings = [...stuck, ...orphans, ...problem, ...this.#check(facts)];
    const result = {
      plan: this.#plan,
      instances: facts.length,
      events: facts.reduce((sum, { events }) => sum + events.length, 0),
      attempts: this.#ledger().filter(({ mark }) => mark === 'b').length,
      kills: this.#kills,
      missed: this.#missed,
      findings,
    };
    if (findings.length === 0) rmSync(directory, { recursive: true, force: true });
    return result;
  }

  #start(killAt?: string): Program {
    const { directory, seed, number, instancesPerKill } = this.#plan;
    const count = (this.#kills.length + 1) * instancesPerKill;
    const more = killAt === undefined ? {} : { killAt };
    return new Program('./engine.js', [directory, `${seed}/${number}`, String(count)], more);
  }

  async #round(): Promise<void> {
    const { kind } = this.#chance.weighed(KINDS);
    const engine = this.#start(kind === 'point' ? this.#aim() : undefined);
    if (kind === 'opening') {
      await pause(150 + this.#chance.integer(600));
      return this.#end(engine, 'while opening');
    }
    if (!(await engine.says('ready', OPEN_LIMIT_MS)) && kind !== 'point')
      throw new Error(`the engine did not open: ${engine.err}`);
    if (kind === 'point') return this.#awaitPoint(engine);
    await pause(this.#chance.integer(500));
    if (kind === 'random') return this.#end(engine, 'random');
    if (kind === 'both')
      return this.#end(engine, this.#killCommands() > 0 ? 'commands and engine' : 'random');
    for (let left = 3; left > 0; left -= 1) {
      if (this.#killCommands() > 0) this.#note('commands');
      await pause(this.#chance.integer(200));
    }
    await this.#end(engine, 'random');
  }

  /** Most of those that are running; answers how many. */
  #killCommands(): number {
    const pids = commandsOf(this.#place.commandLedger).filter(() => this.#chance.happens(0.7));
    return pids.filter((pid) => kill(pid)).length;
  }

  #point = '';

  #aim(): string {
    this.#point = POINTS[this.#nextPoint % POINTS.length] ?? '';
    this.#nextPoint += 1;
    // what happens once in an engine's life is hit at its first time, the rest anywhere in the round
    const isOnce = /^(bootstrap|migration|fence|tail|template|open|recover|close)/.test(this.#point);
    const most = /completed|dispatched|authorized|begin|effect|done|stage_started/.test(this.#point)
      ? 120
      : 12;
    return `${isOnce ? 1 : 1 + this.#chance.integer(most)} ${this.#point}`;
  }

  async #awaitPoint(engine: Program): Promise<void> {
    const isIdle = await engine.says('idle', POINT_LIMIT_MS);
    // what happens at an orderly end happens only there
    if (isIdle) engine.release();
    const ended = isIdle ? await Promise.race([engine.ended, pause(POINT_LIMIT_MS)]) : undefined;
    if (engine.child.signalCode !== 'SIGKILL') this.#missed.push(this.#point);
    // where it has come to its end by itself nothing was killed
    if (ended !== undefined && ended.signal === null) return this.#refuse(engine, ended.code);
    await this.#end(engine, engine.child.signalCode === 'SIGKILL' ? this.#point : 'random');
  }

  #refuse(engine: Program, code: number | null): void {
    if (code !== 0) throw new Error(`the engine ended with ${code}: ${engine.err}`);
  }

  async #end(engine: Program, at: string): Promise<void> {
    engine.kill();
    const { signal, code } = await engine.ended;
    if (signal !== 'SIGKILL') return this.#refuse(engine, code);
    this.#note(at);
  }

  #note(at: string): void {
    const notes = this.#notes();
    const ended = new Set(notes.flatMap(([word, id = '']) => (word === 'ended' ? [id] : [])));
    const started = new Set(notes.flatMap(([word, id = '']) => (word === 'started' ? [id] : [])));
    this.#kills.push({ at, underWay: [...started].filter((id) => !ended.has(id)) });
  }

  /** An engine that nobody kills brings everything to its end. */
  async #finish(): Promise<Finding[]> {
    const engine = this.#start();
    const isDone = await engine.says('idle', END_LIMIT_MS);
    engine.release();
    if (isDone) await engine.ended;
    else engine.kill();
    return isDone ? [] : [{ fault: 'loss', id: '', message: `not everything came to an end: ${engine.err}` }];
  }

  async #orphans(): Promise<Finding[]> {
    const pids = commandsOf(this.#place.commandLedger);
    return pids.length === 0 ? [] : [{ fault: 'double', id: '', message: `left running: ${pids.join()}` }];
  }

  async #facts(): Promise<{ facts: Fact[]; problem: Finding[] }> {
    const inspection = new Program('./inspect.js', [this.#plan.directory]);
    const { code } = await inspection.ended;
    const facts = code === 0 ? parseFacts(inspection.out) : [];
    return {
      facts,
      problem: code === 0 ? [] : [{ fault: 'loss', id: '', message: `unreadable: ${inspection.err}` }],
    };
  }

  #check(facts: readonly Fact[]): Finding[] {
    const { seed, number } = this.#plan;
    return check({
      notes: this.#notes(),
      ledger: this.#ledger(),
      facts,
      workloadOf: (id) => workloadOf(`${seed}/${number}`, id),
      sagaParallelism: this.#sagaParallelism,
    });
  }

  #notes(): string[][] {
    const lines = textOf(this.#place.notes).split('\n');
    return lines.filter((line) => line !== '').map((line) => line.split(' '));
  }

  #ledger() {
    return [...readLedger(this.#place.ledger), ...readLedger(this.#place.commandLedger)];
  }
}
