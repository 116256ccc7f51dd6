/** One store from its beginning to its end: engines that are killed one after the other, then one that is not, then the check. */
import { Chance } from './chance.js';
import { POINTS } from './points.js';
import { kill, type Program, pause } from './processes.js';
import { OPEN_LIMIT_MS, type Outcome, World } from './world.js';

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

export interface EpisodeResult extends Outcome {
  readonly plan: EpisodePlan;
  readonly kills: readonly Kill[];
  /** Points that were asked for and not reached: nothing of the kind happened in that engine's life. */
  readonly missed: readonly string[];
}

/** An engine that does not get to its point in this time is killed where it is. */
const POINT_LIMIT_MS = 4_000;
/** Those of an orderly end come only once all work is done. */
const LAST_POINT_LIMIT_MS = 15_000;
const POINT_SHARE = 0.7;
const KINDS = [
  { kind: 'point', weight: POINT_SHARE * 100 },
  { kind: 'random', weight: 14 },
  { kind: 'opening', weight: 6 },
  { kind: 'commands', weight: 4 },
  { kind: 'both', weight: 6 },
] as const;

export class Episode {
  readonly #plan: EpisodePlan;
  readonly #world: World;
  readonly #chance: Chance;
  readonly #kills: Kill[] = [];
  readonly #missed: string[] = [];
  /** Named points come in turn, so that a long run gets to all of them. */
  #nextPoint: number;

  constructor(plan: EpisodePlan) {
    const { seed, number, directory, kills } = plan;
    this.#plan = plan;
    this.#chance = new Chance(seed, number);
    this.#world = new World(directory, `${seed}/${number}`, { sagaParallelism: number % 3 === 2 ? 2 : 1 });
    this.#nextPoint = new Chance(seed).integer(POINTS.length) + number * Math.round(kills * POINT_SHARE);
  }

  async run(): Promise<EpisodeResult> {
    const { kills } = this.#plan;
    while (this.#kills.length < kills) await this.#round();
    const outcome = await this.#world.finish(this.#instances());
    if (outcome.findings.length === 0) this.#world.remove();
    return { ...outcome, plan: this.#plan, kills: this.#kills, missed: this.#missed };
  }

  /** That there are to be in all, by now. */
  #instances(): number {
    return (this.#kills.length + 1) * this.#plan.instancesPerKill;
  }

  async #round(): Promise<void> {
    const isFirst = this.#kills.length === 0;
    const kind = isFirst ? 'point' : this.#chance.weighed(KINDS).kind;
    const more = kind === 'point' ? { killAt: this.#aim(isFirst) } : {};
    const engine = this.#world.start(this.#instances(), more);
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
    const pids = this.#world.commands().filter(() => this.#chance.happens(0.7));
    return pids.filter((pid) => kill(pid)).length;
  }

  #point = '';

  /** Where the engine is to be killed. The first one of a store migrates; later ones have other things to do. */
  #aim(isFirst: boolean): string {
    const points = POINTS.filter((point) => point.startsWith('migration') === isFirst);
    this.#point = points[(isFirst ? this.#plan.number : this.#nextPoint) % points.length] ?? '';
    if (!isFirst) this.#nextPoint += 1;
    return `${1 + this.#chance.integer(usualCountOf(this.#point))} ${this.#point}`;
  }

  async #awaitPoint(engine: Program): Promise<void> {
    const isLast = /^(close|trim)/.test(this.#point);
    const isIdle = await engine.says('idle', isLast ? LAST_POINT_LIMIT_MS : POINT_LIMIT_MS);
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
    this.#kills.push({ at, underWay: this.#world.underWay() });
  }
}

/** How often it comes by in an engine's life at least: it is hit at any of these times. */
function usualCountOf(point: string): number {
  if (/^(bootstrap|migration|fence|tail|template|open|recover|close|trim)/.test(point)) return 1;
  if (/cancelled|step_completed|dead_lettered|approval|waiting|action/.test(point)) return 2;
  return /task_completed|dispatched|stage_authorized|begin|effect|done|stage_started/.test(point) ? 120 : 4;
}
