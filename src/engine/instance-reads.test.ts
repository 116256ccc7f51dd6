import { expect, it } from 'vitest';
import { emptyMemory, MemoryWorkflowStore } from '../store/memory.js';
import { Hand, Rig, workflow } from './orchestrator.suite.js';

it('reads a history from any event on, without what comes long before it', async () => {
  let entriesRead = 0;
  const data = emptyMemory();
  class Counting extends MemoryWorkflowStore {
    override async *history(...where: Parameters<MemoryWorkflowStore['history']>) {
      for await (const entry of super.history(...where)) {
        entriesRead += 1;
        yield entry;
      }
    }
  }
  const stages = Array.from({ length: 60 }, (_, number) => ({ name: `s${number}`, agents: ['do'] }));
  const rig = new Rig({
    workflows: [workflow('w', stages)],
    agents: [new Hand('do')],
    data,
    store: new Counting(data),
  });
  const { revision } = await rig.run('w', 'x');
  const all = await rig.events('x');
  expect(revision).toBeGreaterThan(60);
  for (let after = 0; after <= all.length + 1; after += 1) {
    const found: number[] = [];
    entriesRead = 0;
    for await (const { seq } of rig.api.history('x', after)) {
      found.push(seq);
      if (found.length === 3) break;
    }
    expect(found).toEqual(
      all
        .map(({ seq }) => seq)
        .filter((seq) => seq > after)
        .slice(0, 3),
    );
    // to where it begins, then to what is asked for
    expect(entriesRead, `after ${after}`).toBeLessThanOrEqual(32);
  }
});
