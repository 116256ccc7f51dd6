/** A store with its engines, and the accounts of what was done: what is common to everything that is tried out. */
import { rmSync } from 'node:fs';
import { check, type Finding } from './check.js';
import { layOut, type Place } from './episode-files.js';
import { type Fact, parseFacts } from './facts.js';
import { type LedgerLine, readLedger, textOf } from './ledger.js';
import { commandsOf, type Ended, Program, type ProgramOptions, pause } from './processes.js';
import { numberOf, workloadOf } from './workload.js';

export const OPEN_LIMIT_MS = 60_000;
const END_LIMIT_MS = 300_000;
/** More than a client starts at once. */
const UNACKNOWLEDGED = 100;

export interface Outcome {
  readonly instances: number;
  readonly events: number;
  readonly attempts: number;
  readonly findings: readonly Finding[];
}

export class World {
  readonly place: Place;
  readonly seed: string;
  readonly #sagaParallelism: number;

  constructor(directory: string, seed: string, more: { sagaParallelism?: number; store?: string } = {}) {
    this.seed = seed;
    this.#sagaParallelism = more.sagaParallelism ?? 1;
    this.place = layOut(directory, this.#sagaParallelism, more.store);
  }

  /** An engine whose client sees instances through until there are so many in all. */
  start(instances: number, more: ProgramOptions = {}): Program {
    return new Program('./engine.js', [this.place.directory, this.seed, String(instances)], more);
  }

  /** Like {@link start}; resolves once the engine is open, and throws where it does not open. */
  async open(instances: number, more: ProgramOptions = {}): Promise<Program> {
    const engine = this.start(instances, more);
    if (await engine.says('ready', OPEN_LIMIT_MS)) return engine;
    engine.kill();
    throw new Error(`the engine did not open: ${engine.err}`);
  }

  /** An engine that nobody harms brings everything to its end; then the accounts are compared. */
  async finish(instances: number, more: ProgramOptions = {}): Promise<Outcome> {
    const engine = this.start(instances, more);
    const isDone = await engine.says('idle', END_LIMIT_MS);
    engine.release();
    if (isDone) await engine.ended;
    else engine.kill();
    const stuck = isDone ? [] : [lossOf(`not everything came to an end: ${engine.err}`)];
    const { facts, ended, err } = await this.inspect();
    const unreadable = ended.code === 0 ? [] : [lossOf(`the store can't be read: ${err}`)];
    const findings = [...stuck, ...this.#orphans(), ...unreadable, ...this.#check(facts)];
    return {
      instances: facts.length,
      events: facts.reduce((sum, { events }) => sum + events.length, 0),
      attempts: this.#ledger().filter(({ mark }) => mark === 'b').length,
      findings,
    };
  }

  /** What the store says to somebody who only looks; `directory` where it is a copy. */
  async inspect(
    directory = this.place.directory,
    limitMs = 120_000,
  ): Promise<{ facts: Fact[]; ended: Ended; err: string }> {
    const inspection = new Program('./inspect.js', [directory]);
    const hanging = pause(limitMs).then(() => inspection.kill());
    await Promise.race([inspection.ended, hanging]);
    const ended = await inspection.ended;
    return { facts: ended.code === 0 ? parseFacts(inspection.out) : [], ended, err: inspection.err };
  }

  /** Instances that clients know of as started and not as ended. */
  underWay(): string[] {
    const ids = (wanted: string) => this.notes().flatMap(([word, id = '']) => (word === wanted ? [id] : []));
    const ended = new Set(ids('ended'));
    return [...new Set(ids('started'))].filter((id) => !ended.has(id));
  }

  /** How many there may be: with those that were started and not acknowledged. */
  begun(): number {
    const numbers = this.notes().map(([, id = '']) => numberOf(id));
    return numbers.reduce((most, number) => Math.max(most, number), 0) + UNACKNOWLEDGED;
  }

  notes(): string[][] {
    const lines = textOf(this.place.notes).split('\n');
    return lines.filter((line) => line !== '').map((line) => line.split(' '));
  }

  commands(): number[] {
    return commandsOf(this.place.commandLedger);
  }

  remove(): void {
    rmSync(this.place.directory, { recursive: true, force: true });
  }

  #orphans(): Finding[] {
    const pids = this.commands();
    return pids.length === 0 ? [] : [{ fault: 'double', id: '', message: `left running: ${pids.join()}` }];
  }

  #check(facts: readonly Fact[]): Finding[] {
    return check({
      notes: this.notes(),
      ledger: this.#ledger(),
      facts,
      workloadOf: (id) => workloadOf(this.seed, id),
      sagaParallelism: this.#sagaParallelism,
    });
  }

  #ledger(): LedgerLine[] {
    return [...readLedger(this.place.ledger), ...readLedger(this.place.commandLedger)];
  }
}

function lossOf(message: string): Finding {
  return { fault: 'loss', id: '', message };
}
