// Engines for the curves: a store on disk of their own, and agents that do next to nothing.
import { rm } from 'node:fs/promises';
import pino from 'pino';
import { defineWorkflow, openEngine, parseConfig } from '../../dist/index.js';
import { makeDirectory } from '../disk.mjs';
import { INITIATOR } from '../workload.mjs';

/** Runs `use(engine)` with an engine over a new store. */
export async function withEngine({ agents, workflows }, use) {
  const at = await makeDirectory();
  const text = `[engine]\nstore = "rocksdb://${at}/data"\nmax_parallel_tasks = 100000\n`;
  const config = parseConfig(text, { file: `${at}/workflows.toml` }, {});
  const templates = workflows.map(([name, stages]) =>
    defineWorkflow({ name, trigger: 'manual', stages }, config.engine),
  );
  const engine = await openEngine(config, {
    agents,
    workflows: templates,
    logger: pino({ level: 'silent' }),
  });
  try {
    return await use(engine);
  } finally {
    await engine.close();
    await rm(at, { recursive: true, force: true });
  }
}

export function agentOf(name, execute = () => ({})) {
  return { name, roles: [name], maxConcurrent: 100_000, execute };
}

/** Starts one, and answers its id once it has ended well and everything is written out. */
export async function runOne(engine, workflow) {
  const { id } = await engine.api.start({ workflow, input: { n: 1 }, initiator: INITIATOR });
  const { status } = await engine.api.untilRest(id);
  if (status !== 'completed') throw new Error(`${workflow} ended ${status}`);
  return id;
}

/** So many, some of them side by side. */
export async function runMany(engine, workflow, count, inFlight = 8) {
  let begun = 0;
  const line = async () => {
    while (begun < count) {
      begun += 1;
      await runOne(engine, workflow);
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, line));
  await engine.store.writeOut();
}
