// LangGraph on SQLite: three nodes, each super-step a checkpoint that is on disk before the next begins.
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite';
import { ARTIFACT, measure } from './load.mjs';

const saver = SqliteSaver.fromConnString(process.env.PEER_FILE);
// every commit synced, as the others do; in its WAL mode the driver would not by itself
saver.db.pragma('synchronous = FULL');
const State = Annotation.Root({ artifacts: Annotation() });
const node = () => ({ artifacts: [ARTIFACT] });
const graph = new StateGraph(State)
  .addNode('one', node)
  .addNode('two', node)
  .addNode('three', node)
  .addEdge(START, 'one')
  .addEdge('one', 'two')
  .addEdge('two', 'three')
  .addEdge('three', END)
  .compile({ checkpointer: saver });

let threads = 0;
await measure(async () => {
  threads += 1;
  await graph.invoke({ artifacts: [] }, { configurable: { thread_id: String(threads) }, durability: 'sync' });
});
