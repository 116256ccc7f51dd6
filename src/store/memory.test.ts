import { describeWorkflowStore } from './conformance.suite.js';
import { emptyMemory, MemoryWorkflowStore } from './memory.js';

describeWorkflowStore('memory', async () => {
  const data = emptyMemory();
  let store = new MemoryWorkflowStore(data);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = new MemoryWorkflowStore(data);
      return store;
    },
    dispose: () => store.close(),
  };
});
