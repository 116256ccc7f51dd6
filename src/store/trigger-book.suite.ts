/** What the stores' `TriggerBook` and `EndedInstances` must do, over any store. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EndedInstances, TriggerBook, TriggerMark, WorkflowStore } from '../core/ports.js';
import { completion, creation, deadLettered, TEMPLATE } from './fixtures.suite.js';

type Store = WorkflowStore & TriggerBook & EndedInstances;

export interface BooksUnderTest {
  readonly store: Store;
  /** Closes the store and opens the same data again. */
  reopen(): Promise<Store>;
  dispose(): Promise<void>;
}

const MARK: TriggerMark = {
  workflow: 'деплой',
  spec: '0 2 * * * UTC',
  until: 1_700_000_000_000,
  lastId: null,
  last: null,
  paused: null,
};

export function describeTriggerBook(name: string, open: () => Promise<BooksUnderTest>): void {
  describe(`${name}: marks of triggers and ended instances`, () => {
    let under: BooksUnderTest;
    let store: Store;
    beforeAll(async () => {
      under = await open();
      store = under.store;
      await store.saveTemplate(TEMPLATE);
    });
    afterAll(() => under.dispose());

    it('keeps one mark a workflow, the newest, over a restart', async () => {
      expect(await store.marks()).toEqual([]);
      await store.saveMark(MARK);
      await store.saveMark({ ...MARK, workflow: 'other', paused: { by: 'ann', at: 5 } });
      await store.saveMark({ ...MARK, until: MARK.until + 1 });
      store = await under.reopen();
      const marks = [...(await store.marks())].sort((a, b) => (a.workflow < b.workflow ? -1 : 1));
      expect(marks).toEqual([
        { ...MARK, workflow: 'other', paused: { by: 'ann', at: 5 } },
        { ...MARK, until: MARK.until + 1 },
      ]);
    });

    it('lists what has ended by the time of the end, a page at a time', async () => {
      const end = async (id: string, at: number) =>
        (await store.save(completion(await store.save(creation(id, { at: at - 1 }))))).instance;
      for (const [id, at] of [
        ['c', 5_000],
        ['a', 5_000],
        ['b', 5_000],
        ['early', 4_000],
        ['late', 6_000],
      ] as const)
        await end(id, at);
      await store.save(creation('live', { at: 4_500 }));
      await store.save(deadLettered(await store.save(creation('letter', { at: 4_500 }))));
      const ids = async (query: Parameters<Store['ended']>[0]) =>
        (await store.ended(query)).map((item) => item.id);
      expect(await ids({ from: 4_000, before: 6_000, limit: 10 })).toEqual(['early', 'a', 'b', 'c']);
      expect(await ids({ from: 4_001, before: 6_001, limit: 3 })).toEqual(['a', 'b', 'c']);
      const [, b] = await store.ended({ from: 4_001, before: 9_000, limit: 2 });
      expect(b).toEqual({ id: 'b', template: TEMPLATE.name, status: 'completed', endedAt: 5_000 });
      expect(
        await ids({ from: 0, before: 9_000, limit: 10, ...(b === undefined ? {} : { after: b }) }),
      ).toEqual(['c', 'late']);
    });

    it('sees an end at once, and no longer what was deleted', async () => {
      const ended = await store.save(completion(await store.save(creation('gone', { at: 7_000 }))));
      const query = { from: 7_000, before: 8_000, limit: 10 };
      expect((await store.ended(query)).map(({ id }) => id)).toEqual(['gone']);
      await store.delete(ended.instance.id);
      expect(await store.ended(query)).toEqual([]);
    });

    it('refuses a limit that is none', async () => {
      await expect(store.ended({ from: 0, before: 1, limit: 0 })).rejects.toMatchObject({
        code: 'input_invalid',
      });
    });
  });
}
