// Ever longer histories of one instance: tasks that fail many times before they succeed.
import { agentOf, runOne, withEngine } from './engine.mjs';
import { costOf, cpuMicros } from './fit.mjs';

export const curve = {
  name: 'history',
  x: 'events of the instance',
  series: {
    event: 'an event, on the way there, written out',
    load: 'loading the instance',
    audit: 'verifying its history',
  },
  dominant:
    'An event costs its commit, whatever came before it; loading reads the state, which keeps nothing of earlier attempts; verifying hashes every entry of the history.',
  sizes: [100, 300, 1_000, 3_000, 10_000],
  quick: [20, 60],
};

/** Failures of one task: below the most attempts that a template may allow. */
const FAILURES = 900;
const RETRY = { max_attempts: 1_000, initial_ms: 0, max_ms: 0, factor: 1, jitter: 0 };

export async function* measure(sizes) {
  for (const size of sizes) {
    // an attempt that fails makes two events: how it failed, and that the next was given out
    const failures = Math.max(1, Math.round((size - 6) / 2));
    const count = Math.ceil(failures / FAILURES);
    const each = Math.ceil(failures / count);
    const agent = agentOf('a', ({ attempt }) => {
      if (attempt <= each) throw new Error('not yet');
    });
    const stages = Array.from({ length: count }, (_, at) => ({
      name: `s${at}`,
      agents: ['a'],
      retry: RETRY,
    }));
    const parts = { agents: [agent], workflows: [['w', stages]] };
    yield await withEngine(parts, async (engine) => {
      let id = '';
      const grown = await cpuMicros(async () => {
        id = await runOne(engine, 'w');
        await engine.store.writeOut();
      });
      let events = 0;
      for await (const _ of engine.api.history(id)) events += 1;
      return {
        x: events,
        event: grown / events,
        load: await costOf(5, 3, async () => {
          for (let at = 0; at < 3; at += 1) await engine.store.load(id);
        }),
        audit: await costOf(3, 1, async () => {
          const { broken } = await engine.api.verifyAudit(id);
          if (broken !== null) throw new Error('the history does not hold');
        }),
      };
    });
  }
}
