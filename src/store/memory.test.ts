import { describeWorkflowStore } from './conformance.suite.js';
import { emptyMemory, MemoryWorkflowStore } from './memory.js';
import { describeTriggerBook } from './trigger-book.suite.js';

describeWorkflowStore('memory', underTest);
describeTriggerBook('memory', underTest);

async function underTest() {
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
}
