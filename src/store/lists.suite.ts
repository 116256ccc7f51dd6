/** What the `list` of every `WorkflowStore` must do. */
import { expect, it } from 'vitest';
import type { InstanceQuery, InstanceSummary, WorkflowStore } from '../core/ports.js';
import { completion, creation, deadLettered, waiting, writeOut } from './fixtures.suite.js';
import { comparePositions, matches, summaryOf } from './listing.js';

export function describeLists(current: () => WorkflowStore): void {
  it('lists newest first, page by page, undisturbed by new instances', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 25; n += 1) {
      // four of each time, which go by their ids
      const at = 1_000_000 - Math.floor(n / 4) * 10_000;
      ids.push(`page-${String(n).padStart(2, '0')}`);
      await current().save(creation(`page-${String(n).padStart(2, '0')}`, { at, template: 'pages' }));
    }
    let more = 0;
    const insert = async (): Promise<void> => {
      more += 1;
      await current().save(creation(`zz-${more}`, { at: Date.now() + more * 1_000_000, template: 'pages' }));
    };
    expect(await pages(current(), { template: 'pages', limit: 7 }, insert)).toEqual(ids);
    expect(await pages(current(), { template: 'pages', limit: 25 + more })).toHaveLength(25 + more);
  });

  it('filters by status, template, labels and open dead letters', async () => {
    const labels = [
      ['env', 'prod=1'],
      ['who', "o'neill ⟨x⟩"],
    ] as const;
    const made = await current().save(creation('filter-a', { template: 'filter', labels }));
    const done = await current().save(
      creation('filter-b', { template: 'filter', labels: [['env', 'prod=1']] }),
    );
    await current().save(completion(done));
    const bad = await current().save(creation('filter-c', { template: 'filter' }));
    await current().save(deadLettered(bad));
    const ask = async (query: Omit<InstanceQuery, 'limit' | 'template'>): Promise<string[]> =>
      pages(current(), { ...query, template: 'filter', limit: 2 });
    expect(await ask({})).toEqual(['filter-a', 'filter-b', 'filter-c']);
    expect(await ask({ status: 'active' })).toEqual(['filter-a']);
    expect(await ask({ status: 'completed' })).toEqual(['filter-b']);
    expect(await ask({ labels: ['env=prod=1'] })).toEqual(['filter-a', 'filter-b']);
    expect(await ask({ labels: ['env=prod=1', "who=o'neill ⟨x⟩"] })).toEqual(['filter-a']);
    expect(await ask({ labels: ['env=prod'] })).toEqual([]);
    expect(await ask({ withDeadLetters: true })).toEqual(['filter-c']);
    expect(await ask({ withDeadLetters: true, status: 'completed' })).toEqual([]);
    const [item] = (await current().list({ template: 'filter', withDeadLetters: true, limit: 1 })).items;
    expect(item).toMatchObject({ deadLetters: 1, status: 'failed', endedAt: 1_001 });
    expect((await current().list({ template: 'filter', status: 'active', limit: 1 })).items[0]).toEqual({
      id: 'filter-a',
      template: 'filter',
      status: 'active',
      initiator: 'ann',
      initiatorGroups: ['ops'],
      labels: { env: 'prod=1', who: "o'neill ⟨x⟩" },
      createdAt: 1_000,
      updatedAt: made.instance.updatedAt,
      endedAt: null,
      error: null,
      deadLetters: 0,
    });
  });

  it('answers any combination of filters, whether written out yet or not', async () => {
    const rng = xorshift(7);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(rng() * items.length)] as T;
    const [templates, users, values] = [
      ['mix-a', 'mix-b'],
      ['mix-ann', 'mix-bob', 'mix-\u{1f600}'],
      ['1', '2', ''],
    ];
    const made: InstanceSummary[] = [];
    for (let n = 0; n < 120; n += 1) {
      const labels = (['x', 'y'] as const).flatMap((key) =>
        rng() < 0.5 ? [[key, pick(values)] as const] : [],
      );
      const birth = {
        at: 4e12 + Math.floor(rng() * 40),
        template: pick(templates),
        user: pick(users),
        labels,
      };
      let saved = await current().save(creation(`mix-${pick(['ä', 'z', '\u{20000}'])}${n}`, birth));
      if (rng() < 0.5) saved = await current().save(pick([waiting, completion, deadLettered])(saved));
      made.push(summaryOf(saved.instance));
      if (rng() < 0.1) await writeOut(current());
      if (rng() < 0.1 && saved.instance.status === 'completed') {
        await current().delete(saved.instance.id);
        made.pop();
      }
    }
    for (let round = 0; round < 60; round += 1) {
      const maybe = <T extends object>(chance: number, part: T): T | object => (rng() < chance ? part : {});
      const query: InstanceQuery = {
        limit: pick([1, 7, 50]),
        // alone among what other tests make
        createdFrom: 4e12 + Math.floor(rng() * 20),
        createdBefore: 4e12 + 20 + Math.floor(rng() * 40),
        ...maybe(0.5, { status: pick(['active', 'waiting_approval', 'completed', 'failed'] as const) }),
        ...maybe(0.4, { template: pick(templates) }),
        ...maybe(0.3, { initiator: pick(users) }),
        ...maybe(0.3, { labels: pick([['x=1'], ['x=2', 'y='], ['y=2']]) }),
        ...maybe(0.2, { withDeadLetters: true }),
      };
      const expected = made.filter((summary) => matches(summary, query)).sort(comparePositions);
      expect(await pages(current(), query), JSON.stringify(query)).toEqual(expected.map(({ id }) => id));
    }
  });
}

/** Repeatable chance. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

async function pages(
  store: WorkflowStore,
  query: InstanceQuery,
  between?: () => Promise<void>,
): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(cursor === undefined ? query : { ...query, cursor });
    found.push(...page.items.map(({ id }) => id));
    cursor = page.next ?? undefined;
    await between?.();
  } while (cursor !== undefined);
  return found;
}
