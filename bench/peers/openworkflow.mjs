// OpenWorkflow on PostgreSQL (its SQLite store needs Node 22.5): one worker in the process, as many slots as workflows in flight.
import { OpenWorkflow } from 'openworkflow';
import { BackendPostgres } from 'openworkflow/postgres';
import { ARTIFACT, measure } from './load.mjs';

const backend = await BackendPostgres.connect(process.env.PEER_DATABASE);
const client = new OpenWorkflow({ backend });
const seq3 = client.defineWorkflow({ name: 'seq3' }, async ({ step }) => {
  const one = await step.run({ name: 'one' }, async () => [ARTIFACT]);
  const two = await step.run({ name: 'two' }, async () => [...one, ARTIFACT].slice(-1));
  return step.run({ name: 'three' }, async () => [...two, ARTIFACT].slice(-1));
});
const worker = client.newWorker({ concurrency: 64 });
await worker.start();
await measure(async () => {
  const run = await seq3.run({ n: 1 });
  await run.result();
});
