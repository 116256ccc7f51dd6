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
/** Beyond that it hangs; machines that do other things too need their time. */
const INSPECT_LIMIT_MS = 180_000;

/**
 * `refused`: it does not open. `found out`: it opens, and what is damaged says so. `whole`: nothing that counts was hit. `older`: what
 * is there is true and verifies, but the newest is missing. `hung`: it says nothing at all. `wrong`: something else than what was
 * written.
 */
export type Verdict = 'refused' | 'found out' | 'whole' | 'older' | 'hung' | 'wrong';

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

/** Files that hold what was written: the database's own log, its tables, and large values apart from them. */
const DATA = ['.log', '.sst', '.blob'] as const;

function filesOf(store: string, ending = ''): string[] {
  return readdirSync(store).filter(
    (name) => name.endsWith(ending) && name !== 'LOCK' && statSync(join(store, name)).size > 0,
  );
}

/** Every other trial is about files of any kind, the rest about each kind of data in turn. */
function fileFor(trial: number, store: string, chance: Chance): string {
  const kinds = DATA.filter((ending) => filesOf(store, ending).length > 0);
  const kind = trial % 2 === 0 ? undefined : kinds[(trial >> 1) % kinds.length];
  return chance.pick(filesOf(store, kind));
}

/** Cuts a file of the store, or turns some of its bits; says which and how. */
function damage(store: string, name: string, chance: Chance): string {
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
  [store, name]: readonly [store: string, name: string],
  before: readonly Fact[],
  chance: Chance,
): Promise<[Verdict, string]> {
  layOut(trial, 1);
  cpSync(store, join(trial, 'store'), { recursive: true });
  const what = damage(join(trial, 'store'), name, chance);
  const { facts, ended, err } = await world.inspect(trial, INSPECT_LIMIT_MS);
  rmSync(trial, { recursive: true, force: true });
  if (ended.code === 0) return [judge(before, facts), what];
  if (ended.signal === 'SIGKILL') return ['hung', what];
  const how = ended.code === 5 ? '' : ` (ended with ${ended.code ?? ended.signal}: ${err.split('\n')[0]})`;
  return ['refused', `${what}${how}`];
}

/**
 * After a kill the newest is in the journal alone, and all of it in the database's own log. Only when the store is opened again does the
 * database write tables of that, and large values to files of their own: `isReopened`.
 */
function damaged(
  name: string,
  { isOrderly, isReopened }: { isOrderly: boolean; isReopened: boolean },
): Scenario {
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
      const { facts: before, err } = await world.inspect(copy, INSPECT_LIMIT_MS);
      // held against nothing, everything would be wrong
      if (before.length === 0) throw new Error(`the store can't be read before it is damaged: ${err}`);
      const store = isReopened ? join(copy, 'store') : world.place.store;
      const chance = new Chance(seed, name);
      const counts = new Map<string, number>();
      const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
      const missing = isReopened ? DATA.filter((ending) => filesOf(store, ending).length === 0) : [];
      const findings = missing.map((ending) => findingOf(`there is no ${ending} file to damage`));
      mkdirSync(join(directory, 'trials'), { recursive: true });
      for (let trial = 0; trial < TRIALS; trial += 1) {
        const file = fileFor(trial, store, chance);
        const place = join(directory, 'trials', String(trial));
        const [verdict, what] = await tryOut(world, place, [store, file], before, chance);
        count(verdict);
        const kind = DATA.find((ending) => file.endsWith(ending));
        if (kind !== undefined) count(`of ${kind}`);
        if (verdict === 'wrong') findings.push(findingOf(`${what}: something else than what was written`));
        if (process.env.TORTURE_VERBOSE) process.stderr.write(`  ${verdict}: ${what}\n`);
      }
      const seen = [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(', ');
      return { instances: before.length, findings, seen: `${TRIALS} damages: ${seen}` };
    },
  };
}

export const DAMAGE_FAULTS: readonly Scenario[] = [
  damaged('damaged-after-end', { isOrderly: true, isReopened: false }),
  damaged('damaged-after-kill', { isOrderly: false, isReopened: false }),
  damaged('damaged-tables', { isOrderly: true, isReopened: true }),
];
