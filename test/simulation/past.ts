/**
 * Recovery from any part of the log: a new world begins with the first so many commits of another one and nothing else. What it takes
 * up there must be what was committed, and it must come to an end like any other, under the same checks.
 */
import type { Authorizer } from '../../src/core/ports.js';
import { chanceOf } from './chance.js';
import { NO_FIGURES } from './coverage.js';
import type { Disk } from './disk.js';
import type { Rule } from './scenario.js';
import { World } from './world.js';

/** Of the worlds, those that are begun anew. */
const SHARE = 1 / 4;
/** How much later it goes on; milliseconds. */
const GAPS = [1, 5_000, 600_000, 10_800_000];

export async function beginAnew(
  world: World,
  cedar: ReadonlyMap<readonly Rule[], Authorizer>,
): Promise<void> {
  const { scenario, code, disk } = world;
  const { length } = disk.log;
  if (length === 0 || chanceOf(scenario.seed, 'anew') >= SHARE) return;
  const count = 1 + world.spanOf('anew from', 0, length - 1);
  world.coverage.data.figures.prefixes += 1;
  let prefix: Disk;
  try {
    prefix = disk.prefix(count);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return world.violate(`from the first ${count} commits: ${error.message}`);
  }
  const gapMs = GAPS[world.spanOf('anew after', 0, GAPS.length - 1)] ?? 0;
  const startsAt = (prefix.log.at(-1)?.commit.at ?? 0) + gapMs;
  const isTraced = world.trace.lines !== null;
  const past = { world, disk: prefix, startsAt };
  const anew = new World({ scenario, code, isTraced, isWatched: world.watch !== null, cedar, past });
  await anew.run();
  world.coverage.merge({ ...anew.coverage.data, figures: NO_FIGURES });
  world.trace.lines?.push(`---- anew, from the first ${count} commits`, ...(anew.trace.lines ?? []));
  world.note(`begun anew from the first ${count} commits: ${anew.trace.hash}`);
  if (anew.violation !== null)
    world.violate(`begun anew from the first ${count} of ${length} commits: ${anew.violation}`);
}
