// DBOS on PostgreSQL: a workflow of three steps, each a checkpoint in the database.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { ARTIFACT, measure } from './load.mjs';

const step = (name, before) => DBOS.runStep(async () => [...before, ARTIFACT].slice(-1), { name });

const seq3 = DBOS.registerWorkflow(
  async () => {
    const one = await step('one', []);
    const two = await step('two', one);
    return step('three', two);
  },
  { name: 'seq3' },
);

DBOS.setConfig({ name: 'bench', systemDatabaseUrl: process.env.PEER_DATABASE, logLevel: 'error' });
await DBOS.launch();
await measure(async () => {
  const handle = await DBOS.startWorkflow(seq3)();
  await handle.getResult();
});
