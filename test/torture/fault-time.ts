/** Engines that stand still, clocks that jump, commands that are started while their engine dies. */
import { fileURLToPath } from 'node:url';
import { Chance } from './chance.js';
import type { Finding } from './check.js';
import { childrenOf, Program, pause } from './processes.js';
import {
  findingOf,
  killTraced,
  missingProc,
  missingStrace,
  type Scenario,
  type Trial,
  withFaults,
} from './scenario.js';
import { OPEN_LIMIT_MS, World } from './world.js';

const STOPS = 5;
/** Longer than the agents' lease, the stages' time limits and the retries' delays. */
const STOP_MS = 2_500;
const PER_ROUND = 200;
const DAY_MS = 86_400_000;

const stopped: Scenario = {
  name: 'stopped',
  obstacle: missingProc,
  async run({ directory, seed }: Trial) {
    const world = new World(directory, seed);
    const chance = new Chance(seed, 'stopped');
    const findings: Finding[] = [];
    const engine = await world.open(STOPS * PER_ROUND);
    for (let count = 0; count < STOPS; count += 1) {
      await pause(chance.integer(300));
      engine.kill('SIGSTOP');
      await pause(STOP_MS);
      const second = new Program('./inspect.js', [directory]);
      const { code } = await second.ended;
      if (code !== 5 || !second.err.startsWith('store_locked')) {
        findings.push(
          findingOf(`beside an engine that stands still, another one ended with ${code}: ${second.err}`),
        );
      }
      engine.kill('SIGCONT');
    }
    await pause(chance.integer(300));
    engine.kill();
    await engine.ended;
    const { instances, findings: more } = await world.finish(STOPS * PER_ROUND);
    const seen = `stood still ${STOPS} times for ${STOP_MS / 1000} s; a second engine was refused each time (\`store_locked\`)`;
    return { instances, findings: [...findings, ...more], seen };
  },
};

/** Each engine's clock is another one, and jumps while it runs. */
const clocks: Scenario = {
  name: 'clocks',
  obstacle: () => null,
  async run({ directory, seed }: Trial) {
    const world = new World(directory, seed);
    const chance = new Chance(seed, 'clocks');
    const shifts = [0, 1, -1, 400, -400, 0.04, -30].map((days) => days * DAY_MS);
    const clockOf = (shiftMs: number) => ({
      node: ['--import', fileURLToPath(new URL('./shifted-clock.js', import.meta.url))],
      env: { TORTURE_CLOCK_MS: String(shiftMs) },
    });
    for (const [round, shiftMs] of shifts.entries()) {
      const engine = await world.open((round + 1) * PER_ROUND, clockOf(shiftMs));
      await pause(200 + chance.integer(500));
      engine.kill();
      await engine.ended;
    }
    // what waits for a time waits for it by the clock that there is, so the last one is past all of them
    const latest = Math.max(...shifts) + DAY_MS;
    const { instances, findings } = await world.finish(shifts.length * PER_ROUND, clockOf(latest));
    const seen = `${shifts.length} engines with clocks up to 400 days off, each jumping by up to a day every 20 ms; no history goes back`;
    return { instances, findings, seen };
  },
};

/** The engine dies while the process of a command is there and has not become the command yet. */
const beforeExec: Scenario = {
  name: 'between-fork-and-exec',
  obstacle: () => missingProc() ?? missingStrace(),
  async run({ directory, seed }: Trial) {
    const world = new World(directory, seed);
    const caught: number[] = [];
    const rounds = 5;
    for (let round = 1; round <= rounds; round += 1) {
      // each process waits before its first exec: strace's own child, the engine, and then each command
      const via = withFaults(['execve:delay_enter=1500000:when=1']);
      const engine = world.start(round * PER_ROUND, { via });
      const [pid = 0] = await childrenWithin(engine.child.pid ?? 0);
      await engine.says('ready', OPEN_LIMIT_MS);
      caught.push(...(await childrenWithin(pid)).slice(0, 1));
      killTraced(engine);
      const next = await world.open(round * PER_ROUND);
      await pause(400);
      next.kill();
      await Promise.all([engine.ended, next.ended]);
    }
    const { instances, findings } = await world.finish(rounds * PER_ROUND);
    const seen = `${caught.length} engines died with a command about to begin; none of these began beside the next attempt`;
    return { instances, findings, seen };
  },
};

/** The first children that a process gets. */
async function childrenWithin(pid: number): Promise<number[]> {
  for (let tries = 0; tries < 3_000; tries += 1) {
    const children = childrenOf(pid);
    if (children.length > 0) return children;
    await pause(10);
  }
  return [];
}

export const TIME_FAULTS: readonly Scenario[] = [stopped, clocks, beforeExec];
