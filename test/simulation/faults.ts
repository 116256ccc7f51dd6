/** When which of the scenario's faults strikes. */
import type { SimulatedProcess } from './process.js';
import type { Fault, Port } from './scenario.js';
import type { World } from './world.js';

type FaultOf<K extends Fault['kind']> = Extract<Fault, { kind: K }>;

export class Faults {
  readonly #world: World;
  readonly #calls = new Map<Port, number>();
  readonly #crashes: FaultOf<'crash'>[] = [];
  readonly #within: FaultOf<'crash_within'>[] = [];
  readonly #commits: FaultOf<'commit'>[] = [];
  #entries = 0;
  #transactions = 0;
  /** How many have struck. */
  count = 0;

  constructor(world: World) {
    this.#world = world;
    if (world.past === null) for (const fault of world.scenario.faults) this.#arm(fault);
  }

  #arm(fault: Fault): void {
    const { timeline } = this.#world;
    switch (fault.kind) {
      case 'crash':
        this.#crashes.push(fault);
        return;
      case 'crash_within':
        this.#within.push(fault);
        return;
      case 'commit':
        this.#commits.push(fault);
        return;
      case 'pause':
        timeline.after(fault.atMs, () => this.#pause(fault));
        return;
      case 'jump':
        timeline.after(fault.atMs, () => this.#jump(fault));
        return;
      case 'away':
        timeline.after(fault.atMs, () => this.#away(fault));
        return;
      case 'policy':
        timeline.after(fault.atMs, () => {
          if (!this.#strikes('policy change')) return;
          this.#world.rules = fault.rules;
        });
    }
  }

  /** False: the world has healed, or there is nothing to strike. */
  #strikes(point: string, isThere = true): boolean {
    if (this.#world.isHealed || !isThere) return false;
    this.count += 1;
    this.#world.coverage.faultPoint(point);
    this.#world.note(point);
    return true;
  }

  /** A crash at this call, if any. */
  onPort(port: Port): FaultOf<'crash'> | null {
    if (this.#crashes.length === 0) return null;
    const number = (this.#calls.get(port) ?? 0) + 1;
    this.#calls.set(port, number);
    const crash = this.#crashes.find((fault) => fault.port === port && fault.nth === number);
    if (crash === undefined || !this.#strikes(`crash ${crash.moment} ${port}`)) return null;
    return crash;
  }

  /** Something comes into the process; it may not live to see all that this sets going. */
  onEnter(process: SimulatedProcess): void {
    if (this.#within.length === 0) return;
    this.#entries += 1;
    for (const fault of this.#within) {
      if (fault.nth !== this.#entries || !this.#strikes('crash between two awaits')) continue;
      afterTicks(fault.ticks, () => process.die(`crash ${fault.ticks} ticks later`, fault));
    }
  }

  onTransaction(): FaultOf<'commit'> | null {
    this.#transactions += 1;
    const fault = this.#commits.find(({ nth }) => nth === this.#transactions);
    return fault !== undefined && this.#strikes(`commit ${fault.how}`) ? fault : null;
  }

  #pause({ forMs, takeover, clockMs }: FaultOf<'pause'>): void {
    const { timeline, process } = this.#world;
    const isThere = process !== null && !process.isPaused;
    if (!this.#strikes(takeover ? 'pause and takeover' : 'pause', isThere) || process === null) return;
    process.pause();
    timeline.after(forMs, () => {
      if (!process.isDead) this.#world.note(`process ${process.number} goes on`);
      process.goOn();
    });
    if (!takeover) return;
    timeline.after(forMs / 2, () => {
      if (!process.isDead && this.#world.process === process) this.#world.takeOver(process, clockMs);
    });
  }

  #jump({ ms }: FaultOf<'jump'>): void {
    const { process } = this.#world;
    if (this.#strikes('clock jump', process !== null)) process?.clock.jump(ms);
  }

  #away({ agent, forMs }: FaultOf<'away'>): void {
    const { fleet, timeline } = this.#world;
    const info = fleet.find(agent);
    if (info === undefined || !this.#strikes('agent away')) return;
    fleet.leave(agent);
    if (forMs !== null) timeline.after(forMs, () => fleet.come(info));
  }
}

function afterTicks(ticks: number, call: () => void): void {
  if (ticks === 0) call();
  else queueMicrotask(() => afterTicks(ticks - 1, call));
}
