/** Load for as long as one likes, with kills: what an engine takes in memory, file handles and time must not grow. */
import Table from 'cli-table3';
import { Chance } from './chance.js';
import { pause } from './processes.js';
import { plain } from './report.js';
import { quantile, type Sample } from './sampler.js';
import { World } from './world.js';

/** Instances started a second: a load that leaves the machine time for other things. */
const PER_SECOND = 30;
const ROWS = 10;
/** An engine that has just been opened is still getting warm. */
const WARM_SECONDS = 15;

interface Timed extends Sample {
  /** Minutes since the beginning. */
  readonly at: number;
}

/** Prints what was measured; answers whether it was flat and nothing was lost. */
export async function soak(minutes: number, directory: string, seed: string): Promise<boolean> {
  const world = new World(directory, seed);
  const chance = new Chance(seed, 'soak');
  const samples: Timed[] = [];
  const began = performance.now();
  const minute = () => (performance.now() - began) / 60_000;
  let kills = 0;
  while (minute() < minutes) {
    const opened = minute();
    const count = Math.ceil(minutes * 60 * PER_SECOND);
    const engine = await world.open(count, { env: { TORTURE_PER_SECOND: String(PER_SECOND) } });
    // some live long enough for a leak to show
    const seconds = chance.happens(0.5) ? 20 + chance.integer(40) : 120 + chance.integer(180);
    await Promise.race([engine.ended, pause(Math.min(seconds * 1000, (minutes - minute()) * 60_000))]);
    engine.kill();
    const { signal } = await engine.ended;
    if (signal !== 'SIGKILL') throw new Error(`the engine ended by itself: ${engine.err}`);
    kills += 1;
    for (const [, text = ''] of engine.out.matchAll(/^sample (.+)$/gm)) {
      const sample = JSON.parse(text) as Sample;
      samples.push({ ...sample, at: opened + sample.age / 60 });
    }
  }
  const { instances, findings } = await world.finish(world.begun());
  for (const { fault, id, message } of findings.slice(0, 20)) {
    process.stderr.write(`  ${fault} ${id}: ${message}\n`);
  }
  const growth = growthOf(samples, minutes);
  const words = growth.length === 0 ? 'flat' : `not flat: ${growth.join(', ')}`;
  process.stdout.write(`${tableOf(samples, minutes)}\n`);
  process.stdout.write(
    `${minutes} minutes, ${kills} kills, ${instances} instances, ${findings.length} findings; ${words}\nseed ${seed}\n`,
  );
  return findings.length === 0 && growth.length === 0;
}

const median = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );

function tableOf(samples: readonly Timed[], minutes: number): string {
  const head = [
    'minute',
    'samples',
    'instances',
    'memory MB',
    'most',
    'files',
    'start p50 ms',
    'p99',
    'whole p50 ms',
    'p99',
  ];
  const table = new Table({ ...plain, head, colAligns: head.map(() => 'right' as const) });
  const span = minutes / ROWS;
  for (let row = 0; row < ROWS; row += 1) {
    const here = samples.filter(({ at }) => Math.min(ROWS - 1, Math.floor(at / span)) === row);
    const of = (pick: (sample: Timed) => number) => median(here.map(pick)).toFixed(1);
    table.push([
      (row * span).toFixed(0),
      here.length,
      here.reduce((sum, { ended }) => sum + ended, 0),
      of(({ memoryMb }) => memoryMb),
      Math.max(0, ...here.map(({ memoryMb }) => memoryMb)).toFixed(1),
      of(({ files }) => files),
      of(({ startP50 }) => startP50),
      of(({ startP99 }) => startP99),
      of(({ wholeP50 }) => wholeP50),
      of(({ wholeP99 }) => wholeP99),
    ]);
  }
  return table.toString();
}

/** What the last third takes more than the first, beyond what chance makes of it. */
export function growthOf(samples: readonly Timed[], minutes: number): string[] {
  const warm = samples.filter(({ age }) => age >= WARM_SECONDS);
  const first = warm.filter(({ at }) => at < minutes / 3);
  const last = warm.filter(({ at }) => at >= (minutes * 2) / 3);
  const limits: [string, (sample: Timed) => number, number, number][] = [
    ['memory', ({ memoryMb }) => memoryMb, 1.2, 30],
    ['file handles', ({ files }) => files, 1, 10],
    ['time of a start', ({ startP50 }) => startP50, 2, 5],
    ['time of a workflow', ({ wholeP50 }) => wholeP50, 2, 20],
  ];
  return limits.flatMap(([name, pick, factor, more]) => {
    const [before, after] = [median(first.map(pick)), median(last.map(pick))];
    return after <= before * factor + more
      ? []
      : [`${name} from ${before.toFixed(1)} to ${after.toFixed(1)}`];
  });
}
