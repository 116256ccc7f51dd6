import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWorkflowStore } from '../conformance.suite.js';
import { testClock } from '../fixtures.suite.js';
import { describeTriggerBook } from '../trigger-book.suite.js';
import { SurrealWorkflowStore } from './store.js';

const options = { clock: testClock() };

for (const scheme of ['mem', 'rocksdb', 'surrealkv']) {
  const open = async () => {
    const directory = await mkdtemp(join(tmpdir(), 'vapora-store-'));
    const url = scheme === 'mem' ? `mem://${directory}` : `${scheme}://${directory}/db`;
    return underTest(url, () => rm(directory, { recursive: true, force: true }));
  };
  describeWorkflowStore(`${scheme}://`, open);
  describeTriggerBook(`${scheme}://`, open);
}

// a server is only tested where there is one
const server = process.env.VAPORA_TEST_SURREALDB_URL;
if (server !== undefined) {
  describeWorkflowStore('server', async () => {
    const url = new URL(server);
    url.pathname = `/vapora-test/run-${process.pid}`;
    return underTest(url.href, async () => undefined);
  });
}

async function underTest(url: string, clean: () => Promise<void>) {
  let store = await SurrealWorkflowStore.open(url, options);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await SurrealWorkflowStore.open(url, options);
      return store;
    },
    dispose: async () => {
      await store.close();
      await clean();
    },
  };
}
