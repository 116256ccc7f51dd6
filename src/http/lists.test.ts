/** Lists of people whose policies show them some of what there is, or nothing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type HttpRig, openHttpRig } from './rig.suite.js';

const POLICIES = `
@id("engine") permit (principal is Orchestrator, action, resource);
@id("start") permit (principal is User, action == Action::"start-workflow", resource);
@id("own") permit (principal, action == Action::"read-workflow", resource) when { context.initiator == principal };
@id("shown") permit (principal, action == Action::"read-workflow", resource) when { context.labels.contains("shown=yes") };
@id("never") forbid (principal, action == Action::"read-workflow", resource == Instance::"never");
`;

let rig: HttpRig;
beforeEach(async () => {
  const policies = await mkdtemp(join(tmpdir(), 'vapora-lists-'));
  onTestFinished(() => rm(policies, { recursive: true, force: true }));
  await writeFile(join(policies, 'all.cedar'), POLICIES);
  rig = await openHttpRig({ policies });
});

async function start(id: string, user: string, labels: Record<string, string> = {}): Promise<void> {
  await rig.api.start({ workflow: 'far', id, initiator: { user, groups: [] }, labels });
}

async function list(as: string, query: string): Promise<{ ids: string[]; next: string | null }> {
  const { json, status } = await rig.ask('GET', `/api/v1/instances?${query}`, { as });
  expect(status).toBe(200);
  const instances = json.instances as { workflow_id: string }[];
  return { ids: instances.map(({ workflow_id }) => workflow_id), next: json.next as string | null };
}

describe('a list', () => {
  it('is recorded as one decision an outcome, with how many rows it was about', async () => {
    for (let n = 0; n < 6; n += 1) await start(`other-${n}`, `user-${n}`);
    for (let n = 0; n < 4; n += 1) await start(`own-${n}`, 'ann', { n: String(n) });
    for (let n = 0; n < 2; n += 1) await start(`shown-${n}`, 'bob', { shown: 'yes' });
    await start('never', 'ann');
    expect((await list('ann', 'limit=100')).ids.sort()).toEqual([
      ...Array.from({ length: 4 }, (_, n) => `own-${n}`),
      'shown-0',
      'shown-1',
    ]);
    const reads = (await rig.decisions()).filter(({ request }) => request.action === 'read-workflow');
    const told = reads.map(({ decision, count, request }) => [
      request.principal.id,
      decision.effect,
      decision.policies,
      count,
    ]);
    expect(told.sort((a, b) => Number(a[3]) - Number(b[3]))).toEqual([
      ['ann', 'deny', ['never'], 1],
      ['ann', 'allow', ['shown'], 2],
      ['ann', 'allow', ['own'], 4],
      ['ann', 'deny', [], 6],
    ]);
  });

  it('of little that one may see goes on from page to page, also from one that is empty, to its end', async () => {
    await start('first', 'ann');
    for (let n = 0; n < 1_300; n += 1) await start(`other-${n}`, `user-${n % 7}`);
    const ids: string[] = [];
    let pages = 0;
    let empty = 0;
    for (let cursor: string | null = ''; cursor !== null; pages += 1) {
      const page = await list('ann', `limit=20${cursor === '' ? '' : `&cursor=${cursor}`}`);
      ids.push(...page.ids);
      if (page.ids.length === 0) empty += 1;
      cursor = page.next;
    }
    expect(ids).toEqual(['first']);
    expect([pages > 1, empty > 0]).toEqual([true, true]);
  });

  it('of what one may see here and there has each of it once, in order, and no page too much', async () => {
    // few at first, then many: more than the large step that follows on few has room for
    for (let n = 0; n < 120; n += 1) await start(`own-${n}`, n % 3 === 0 ? 'bob' : 'ann');
    for (let n = 0; n < 40; n += 1) await start(`other-${n}`, 'bob');
    const all = (await list('bob', 'limit=1000')).ids.length;
    expect(all).toBe(80);
    const ids: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await list('ann', `limit=30${cursor === '' ? '' : `&cursor=${cursor}`}`);
      expect(page.ids.length).toBeLessThanOrEqual(30);
      ids.push(...page.ids);
      cursor = page.next;
    }
    const { items } = await rig.api.list({ limit: 1_000 });
    expect(ids).toEqual(items.filter(({ initiator }) => initiator === 'ann').map(({ id }) => id));
    expect(ids).toHaveLength(80);
  });
});
