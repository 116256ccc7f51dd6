// Ever more agents that could all take the task.
import { createSdkRunner } from '../../dist/agent/sdk-runner.js';
import { agentOf, runMany, withEngine } from './engine.mjs';
import { costOf, cpuMicros } from './fit.mjs';

export const curve = {
  name: 'agents',
  x: 'agents registered',
  series: {
    instance: 'an instance of three tasks, any agent may take them, written out',
    register: 'letting all of them in, one after the other',
  },
  dominant:
    'Commits, until the choice of the best agent among all that could take a task outweighs them. An arrival makes the whole registry anew, so that letting in many one after the other grows with their square.',
  sizes: [10, 100, 300, 1_000, 3_000, 10_000],
  quick: [2, 8],
};

const WORKFLOWS = 60;

export async function* measure(sizes, effort) {
  const count = Math.ceil(WORKFLOWS * effort);
  const stages = ['one', 'two', 'three'].map((name) => ({ name, agents: ['a'] }));
  for (const size of sizes) {
    const some = Array.from({ length: size }, (_, at) => ({ ...agentOf(`a${at}`), roles: ['a'] }));
    const [first, ...others] = some;
    const parts = { agents: [first], workflows: [['w', stages]] };
    yield await withEngine(parts, async (engine) => {
      await runMany(engine, 'w', count);
      const register = await cpuMicros(async () => {
        for (const agent of others) engine.transport.register(createSdkRunner(agent));
      });
      await runMany(engine, 'w', count);
      return {
        x: size,
        instance: await costOf(3, count, () => runMany(engine, 'w', count)),
        register,
      };
    });
  }
}
