/** Dead letters page by page, through the server as everybody asks for them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type HttpRig, openHttpRig } from './rig.suite.js';

const stage = (name: string) =>
  `{ name = "${name}", agents = ["ok"], compensation_agents = ["fail"], compensation_retry = { max_attempts = 1 } }`;
const MANY = `
[[workflows]]
name = "many"
stages = [
  ${['c', 'b', 'a'].map(stage).join(',\n  ')},
  { name = "end", agents = ["fail"], retry = { max_attempts = 1 } },
]
`;

interface Page {
  readonly dead_letters: readonly { readonly id: string }[];
  readonly next: string | null;
}

async function page(
  rig: HttpRig,
  query: string,
  as = 'ann',
): Promise<{ ids: string[]; next: string | null }> {
  const { status, json, text } = await rig.ask('GET', `/api/v1/dead-letters?${query}`, { as });
  expect(status, text).toBe(200);
  const { dead_letters, next } = json as unknown as Page;
  return { ids: dead_letters.map(({ id }) => id), next };
}

async function pages(rig: HttpRig, query: string, as?: string): Promise<string[][]> {
  const all: string[][] = [];
  let cursor = '';
  for (;;) {
    const { ids, next } = await page(rig, `${query}${cursor}`, as);
    all.push(ids);
    if (next === null) return all;
    cursor = `&cursor=${next}`;
  }
}

async function runAll(rig: HttpRig, starts: readonly (readonly [string, string])[]): Promise<void> {
  for (const [workflow, id] of starts) {
    await rig.api.start({ workflow, id, initiator: { user: 'ann', groups: [] } });
    await rig.api.untilRest(id);
  }
}

const STARTS = [
  ['bad', 'first'],
  ['many', 'second'],
  ['good', 'third'],
  ['many', 'fourth'],
] as const;
const OF_FOURTH = ['fourth/c', 'fourth/b', 'fourth/a'];
const ALL = [...OF_FOURTH, 'second/c', 'second/b', 'second/a', 'first/a'];

it('has every letter on exactly one page, whatever the size, those of an instance in the order of its stages', async () => {
  const rig = await openHttpRig({ config: MANY });
  await runAll(rig, STARTS);
  for (const limit of [1, 2, 3, 4, 7, 1_000]) {
    const found = await pages(rig, `limit=${limit}`);
    expect(found.flat(), `limit ${limit}`).toEqual(ALL);
    expect(Math.max(...found.map(({ length }) => length))).toBeLessThanOrEqual(limit);
  }
});

it('goes on behind the last letter though that one is closed meanwhile, or its instance has none any more', async () => {
  const rig = await openHttpRig({ config: MANY });
  await runAll(rig, STARTS);
  const close = (letter: string) => rig.api.resolveDeadLetter(letter, { user: 'ann', groups: [] }, 'by hand');
  const first = await page(rig, 'limit=2');
  await close('fourth/b');
  expect((await page(rig, `limit=2&cursor=${first.next}`)).ids).toEqual(['fourth/a', 'second/c']);
  await close('fourth/c');
  await close('fourth/a');
  expect((await page(rig, `limit=2&cursor=${first.next}`)).ids).toEqual(['second/c', 'second/b']);
});

it('shows those of one workflow, or of one instance', async () => {
  const rig = await openHttpRig({ config: MANY });
  await runAll(rig, STARTS);
  expect(await pages(rig, 'limit=1&workflow=bad')).toEqual([['first/a']]);
  expect((await pages(rig, 'limit=2&workflow=many')).flat()).toEqual(ALL.slice(0, 6));
  expect((await pages(rig, 'limit=2&instance=fourth')).flat()).toEqual(OF_FOURTH);
  expect(await pages(rig, 'instance=fourth&workflow=bad')).toEqual([[]]);
  expect(await pages(rig, 'instance=third')).toEqual([[]]);
  for (const query of ['instance=fifth', 'limit=0', 'limit=1001', 'cursor=x', 'cursor=WzEsMiwzXQ']) {
    const { status } = await rig.ask('GET', `/api/v1/dead-letters?${query}`, { as: 'ann' });
    expect(status, query).toBe(query === 'instance=fifth' ? 404 : 400);
  }
});

it('looks at no more than a hundred instances for one page, and leaves out what the caller may not read', async () => {
  const policies = mkdtempSync(join(tmpdir(), 'vapora-letters-'));
  onTestFinished(() => rmSync(policies, { recursive: true, force: true }));
  writeFileSync(
    join(policies, 'p.cedar'),
    'permit (principal, action, resource);\nforbid (principal == User::"bob", action == Action::"read-workflow", resource in Workflow::"bad");',
  );
  const rig = await openHttpRig({ config: MANY, policies });
  await runAll(rig, [
    ['many', 'oldest'],
    ...Array.from({ length: 120 }, (_, n) => ['bad', `b-${n}`] as const),
  ]);
  const whole = await pages(rig, 'limit=1000');
  expect(whole.map(({ length }) => length)).toEqual([100, 23]);
  expect(await pages(rig, 'limit=1000', 'bob')).toEqual([[], ['oldest/c', 'oldest/b', 'oldest/a']]);
});
