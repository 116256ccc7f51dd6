/** Disks that are full, that fail, and that can't be written at all. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Chance } from './chance.js';
import type { Finding } from './check.js';
import type { Ended, Program } from './processes.js';
import { pause } from './processes.js';
import {
  findingOf,
  missingMount,
  missingStrace,
  mount,
  type Scenario,
  type Trial,
  unmount,
  withFaults,
} from './scenario.js';
import { World } from './world.js';

const INSTANCES = 600;
const END_LIMIT_MS = 90_000;
/** Of the store: what a process ends with whose store can't go on. */
const STORE_EXIT = 5;
const SMALL = '24m';
const LARGE = '512m';

/** How an engine ended that was expected to end by itself; killed where it did not. */
async function endOf(engine: Program): Promise<Ended | null> {
  const isOver = await Promise.race([engine.ended.then(() => true), pause(END_LIMIT_MS).then(() => false)]);
  if (isOver) return engine.ended;
  engine.kill();
  await engine.ended;
  return null;
}

/** It has to say what is wrong and end, rather than to limp on or to hang. */
function checkEnd(what: string, ended: Ended | null, words: string, wanted: RegExp): Finding[] {
  if (ended === null) return [findingOf(`${what}: it neither worked nor ended`)];
  if (ended.code === STORE_EXIT && wanted.test(words)) return [];
  return [findingOf(`${what}: it ended with ${ended.code ?? ended.signal}: ${words}`)];
}

const fullDisk: Scenario = {
  name: 'full-disk',
  obstacle: missingMount,
  async run({ directory, seed }: Trial) {
    const disk = join(directory, 'disk');
    mkdirSync(disk, { recursive: true });
    mount('-t', 'tmpfs', '-o', `size=${SMALL}`, 'tmpfs', disk);
    try {
      const world = new World(directory, seed, { store: join(disk, 'store') });
      const engine = await world.open(100_000);
      const findings = checkEnd('on a full disk', await endOf(engine), engine.err, /^store_full/);
      const told = world.notes().length;
      const again = world.start(100_000);
      findings.push(
        ...checkEnd(
          'opened on a full disk',
          await endOf(again),
          again.err,
          /^store_(full|unreadable|failed)/,
        ),
      );
      mount('-o', `remount,size=${LARGE}`, disk);
      const { instances, findings: more } = await world.finish(world.begun());
      const seen = `the disk was full after ${told} acknowledgements; \`${again.err.split(':')[0]}\` while it stayed so; all there once it was larger`;
      return { instances, findings: [...findings, ...more], seen };
    } finally {
      unmount(disk);
    }
  },
};

const readOnly: Scenario = {
  name: 'read-only',
  obstacle: missingMount,
  async run({ directory, seed }: Trial) {
    const disk = join(directory, 'disk');
    mkdirSync(disk, { recursive: true });
    mount('-t', 'tmpfs', '-o', `size=${LARGE}`, 'tmpfs', disk);
    try {
      const world = new World(directory, seed, { store: join(disk, 'store') });
      const engine = await world.open(INSTANCES);
      await pause(300);
      engine.kill();
      await engine.ended;
      mount('-o', 'remount,ro', disk);
      const refused = world.start(INSTANCES);
      const findings = checkEnd(
        'on a read-only disk',
        await endOf(refused),
        refused.err,
        /^store_unreadable/,
      );
      mount('-o', 'remount,rw', disk);
      const { instances, findings: more } = await world.finish(INSTANCES);
      const seen = `refused: ${refused.err.split('\n')[0]?.replaceAll(directory, '…')}`;
      return { instances, findings: [...findings, ...more], seen };
    } finally {
      unmount(disk);
    }
  },
};

/** The engine's journal in the order in which its files are made; which one it will be depends on how often it was opened. */
function journalFiles(store: string): string[] {
  return Array.from({ length: 60 }, (_, index) => join(store, `${String(index).padStart(6, '0')}.log`));
}

/** Engine after engine meets the fault a little later; each has to end for it, and the next finds everything. */
function failing(name: string, faultAt: (count: number) => string, wanted: RegExp): Scenario {
  return {
    name,
    obstacle: missingStrace,
    async run({ directory, seed }: Trial) {
      const world = new World(directory, seed);
      const chance = new Chance(seed, name);
      const findings: Finding[] = [];
      const counts: number[] = [];
      for (let round = 1; round <= 4; round += 1) {
        const count = 5 + chance.integer(120 * round);
        counts.push(count);
        const via = withFaults([faultAt(count)], journalFiles(world.place.store));
        const engine = world.start(round * INSTANCES, { via });
        findings.push(...checkEnd(`${name} at ${count}`, await endOf(engine), engine.err, wanted));
      }
      const { instances, findings: more } = await world.finish(4 * INSTANCES);
      const seen = `ended at once and lost nothing; the ${counts.join('th, ')}th call failed`;
      return { instances, findings: [...findings, ...more], seen };
    },
  };
}

export const DISK_FAULTS: readonly Scenario[] = [
  fullDisk,
  readOnly,
  failing('failed-sync', (count) => `fdatasync:error=EIO:when=${count}`, /^store_failed/),
  failing('dead-disk', (count) => `fdatasync,write:error=EIO:when=${count}+`, /^store_failed/),
  failing('failed-write', (count) => `write:error=EIO:when=${count}`, /^store_failed/),
  failing('write-without-space', (count) => `write:error=ENOSPC:when=${count}`, /^store_full/),
];
