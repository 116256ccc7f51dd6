/** Files of a store that were cut or changed: it is refused or found out, and nothing wrong is ever presented. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Chance } from './chance.js';
import { layOut } from './episode-files.js';
import type { Fact } from './facts.js';
import { pause } from './processes.js';
import { findingOf, type Scenario, type Trial } from './scenario.js';
import { World } from './world.js';

const INSTANCES = 400;
const TRIALS = 40;
const INSPECT_LIMIT_MS = 60_000;

/**
 * `refused`: it does not open. `found out`: it opens, and what is damaged says so. `whole`: nothing that counts was hit. `older`: what
 * is there is true and verifies, but the newest is missing. `wrong`: something else than what was written.
 */
export type Verdict = 'refused' | 'found out' | 'whole' | 'older' | 'wrong';

/** What a damaged store says, held against what it said before. */
export function judge(before: readonly Fact[], after: readonly Fact[]): Verdict {
  const known = new Map(before.map((fact) => [fact.id, fact]));
  let verdict: Verdict = after.length < before.length ? 'older' : 'whole';
  for (const fact of after) {
    const original = known.get(fact.id);
    if (fact.broken !== null) {
      if (verdict !== 'older') verdict = 'found out';
    } else if (original === undefined) return 'wrong';
    else if (fact.head !== original.head) {
      const isEarlier = isDeepStrictEqual(fact.events, original.events.slice(0, fact.events.length));
      if (!isEarlier || fact.events.length >= original.events.length) return 'wrong';
      verdict = 'older';
    } else if (!isDeepStrictEqual(fact, original)) return 'wrong';
  }
  return verdict;
}

/** Cuts a file of the store, or turns some of its bits; says which and how. */
function damage(store: string, chance: Chance): string {
  const files = readdirSync(store).filter((name) => statSync(join(store, name)).size > 0 && name !== 'LOCK');
  const name = chance.pick(files);
  const path = join(store, name);
  const { size } = statSync(path);
  if (chance.happens(0.4)) {
    const length = chance.integer(size);
    truncateSync(path, length);
    return `${name} cut to ${length} of ${size}`;
  }
  const bytes = readFileSync(path);
  const at = chance.integer(size);
  for (let count = 1 + chance.integer(4); count > 0; count -= 1) {
    const place = Math.min(size - 1, at + chance.integer(64));
    bytes[place] = (bytes[place] ?? 0) ^ (1 << chance.integer(8));
  }
  writeFileSync(path, bytes);
  return `bits of ${name} turned at ${at} of ${size}`;
}

async function tryOut(
  world: World,
  trial: string,
  before: readonly Fact[],
  chance: Chance,
): Promise<[Verdict, string]> {
  layOut(trial, 1);
  cpSync(world.place.store, join(trial, 'store'), { recursive: true });
  const what = damage(join(trial, 'store'), chance);
  const { facts, ended, err } = await world.inspect(trial, INSPECT_LIMIT_MS);
  rmSync(trial, { recursive: true, force: true });
  if (ended.code === 0) return [judge(before, facts), what];
  const how = ended.code === 5 ? '' : ` (ended with ${ended.code ?? ended.signal}: ${err.split('\n')[0]})`;
  return ['refused', `${what}${how}`];
}

/** After a kill the newest is in the journal alone; after an orderly end it is in tables. */
function damaged(name: string, isOrderly: boolean): Scenario {
  return {
    name,
    obstacle: () => null,
    async run({ directory, seed }: Trial) {
      const world = new World(join(directory, 'original'), seed);
      const engine = await world.open(INSTANCES);
      if (isOrderly) {
        await engine.says('idle', INSPECT_LIMIT_MS);
        engine.release();
      } else {
        await pause(900);
        engine.kill();
      }
      await engine.ended;
      const copy = join(directory, 'copy');
      layOut(copy, 1);
      cpSync(world.place.store, join(copy, 'store'), { recursive: true });
      const { facts: before } = await world.inspect(copy);
      const chance = new Chance(seed, name);
      const counts = new Map<Verdict, number>();
      const findings = [];
      mkdirSync(join(directory, 'trials'), { recursive: true });
      for (let trial = 0; trial < TRIALS; trial += 1) {
        const [verdict, what] = await tryOut(world, join(directory, 'trials', String(trial)), before, chance);
        counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
        if (verdict === 'wrong') findings.push(findingOf(`${what}: something else than what was written`));
        if (process.env.TORTURE_VERBOSE) process.stderr.write(`  ${verdict}: ${what}\n`);
      }
      const seen = [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(', ');
      return { instances: before.length, findings, seen: `${TRIALS} damages: ${seen}` };
    },
  };
}

export const DAMAGE_FAULTS: readonly Scenario[] = [
  damaged('damaged-after-end', true),
  damaged('damaged-after-kill', false),
];
