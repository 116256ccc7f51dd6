// Ever larger artifacts, made by one stage and read by the next.
import { randomBytes } from 'node:crypto';
import { agentOf, runMany, withEngine } from './engine.mjs';
import { costOf } from './fit.mjs';

const KIB = 1_024;

export const curve = {
  name: 'artifacts',
  x: 'bytes of the artifact',
  series: { instance: 'an instance that hands one on, written out' },
  dominant:
    'Small artifacts cost no more than their instance; from about 64 KiB on, hashing and storing the bytes, and RocksDB moving them once more when it compacts.',
  // the last is the default limit
  sizes: [KIB, 8 * KIB, 64 * KIB, 512 * KIB, 4_096 * KIB, 16_384 * KIB],
  quick: [KIB, 64 * KIB],
};

export async function* measure(sizes, effort) {
  for (const size of sizes) {
    const make = agentOf('make', () => ({
      artifacts: [{ name: 'a', kind: 'code', content: randomBytes(size) }],
    }));
    const read = agentOf('read', async (_, ctx) => {
      const { length } = await ctx.artifacts.bytes('a');
      if (length !== size) throw new Error(`${length} bytes instead of ${size}`);
    });
    const stages = ['make', 'read'].map((name) => ({ name, agents: [name] }));
    const count = Math.max(2, Math.ceil(Math.min(100, 2 ** 24 / size) * effort));
    const parts = { agents: [make, read], workflows: [['w', stages]] };
    const instance = await withEngine(parts, async (engine) => {
      await runMany(engine, 'w', count, 2);
      return costOf(3, count, () => runMany(engine, 'w', count, 2));
    });
    yield { x: size, instance };
  }
}
