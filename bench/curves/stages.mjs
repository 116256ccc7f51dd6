// Templates of ever more stages, one after the other.
import { parseConfig } from '../../dist/index.js';
import { agentOf, runMany, withEngine } from './engine.mjs';
import { costOf } from './fit.mjs';

export const curve = {
  name: 'stages',
  x: 'stages of the template',
  series: {
    instance: 'an instance from start to end, written out',
    config: 'reading and checking the template',
  },
  dominant:
    'A commit for each stage, with the decision that led to it; each decision looks over all stages, which begins to show from about 100 on.',
  sizes: [2, 5, 10, 20, 50, 100, 200],
  quick: [1, 3],
};

export async function* measure(sizes, effort) {
  for (const size of sizes) {
    const stages = Array.from({ length: size }, (_, at) => ({ name: `s${at}`, agents: ['a'] }));
    const text = `[[workflows]]\nname = "w"\ntrigger = "manual"\n${stages
      .map(({ name }) => `[[workflows.stages]]\nname = "${name}"\nagents = ["a"]\n`)
      .join('')}`;
    const instance = await withEngine(
      { agents: [agentOf('a')], workflows: [['w', stages]] },
      async (engine) => {
        const count = Math.max(Math.ceil(8 * effort), Math.ceil((400 / size) * effort));
        await runMany(engine, 'w', count);
        return costOf(3, count, () => runMany(engine, 'w', count));
      },
    );
    const config = await costOf(5, 5, () => {
      for (let at = 0; at < 5; at += 1) parseConfig(text, { file: 'workflows.toml' }, {});
    });
    yield { x: size, instance, config };
  }
}
