import { describe, expect, it } from 'vitest';
import type { Entry } from '../core/events.js';
import { asDigest, asInstanceId } from '../core/names.js';
import type { StoredInstance } from '../core/ports.js';
import { CHAIN_START, decodeEntry, encodeEntry, hashEntry, readEntry, verifyChain } from './chain.js';
import { creation, note } from './fixtures.suite.js';

const ID = asInstanceId('a');

function chain(length: number, name = 'a') {
  const entries: Entry[] = [];
  let last: StoredInstance | null = null;
  for (let n = 0; n < length; n += 1) {
    const next: ReturnType<typeof note> = last === null ? creation(name) : note(last, `note ${n}`);
    const encoded = encodeEntry(next);
    entries.push(decodeEntry(encoded.text));
    last = { instance: next.next, head: encoded.hash };
  }
  return { entries, head: { revision: length, hash: last?.head ?? CHAIN_START } };
}

async function brokenAt(entries: readonly Entry[], head = chain(5).head): Promise<number | undefined> {
  return (await verifyChain(entries, ID, head)).broken?.revision;
}

function replaced(index: number, change: Partial<Entry>): Entry[] {
  return chain(5).entries.map((entry, at) => (at === index ? { ...entry, ...change } : entry));
}

describe('the audit chain', () => {
  it('is whole as it was written', async () => {
    const { entries, head } = chain(5);
    expect(await verifyChain(entries, ID, head)).toEqual({ entries: 5, events: 6, broken: null });
    expect(entries[0]?.previous).toBe(CHAIN_START);
  });

  it('shows an entry that was altered in any field', async () => {
    const events = chain(5).entries[1]?.events ?? [];
    expect(await brokenAt(replaced(2, { events }))).toBe(3);
    expect(await brokenAt(replaced(2, { at: 7 }))).toBe(3);
    expect(await brokenAt(replaced(2, { firstSeq: 9 }))).toBe(3);
    expect(await brokenAt(replaced(2, { revision: 9 }))).toBe(3);
    expect(await brokenAt(replaced(2, { hash: CHAIN_START }))).toBe(3);
    expect(await brokenAt(replaced(2, { previous: CHAIN_START }))).toBe(3);
  });

  it('shows an altered entry whose hash was made to fit, by the one after it', async () => {
    const [, , third] = chain(5).entries;
    if (third === undefined) throw new Error('no third entry');
    const hash = hashEntry({ ...third, at: 7 });
    expect(await brokenAt(replaced(2, { at: 7, hash }))).toBe(4);
  });

  it('shows what was removed, moved, doubled, added or cut off', async () => {
    const { entries } = chain(5);
    const [a, b, c, d, e] = entries as [Entry, Entry, Entry, Entry, Entry];
    expect(await brokenAt([a, b, d, e])).toBe(3);
    expect(await brokenAt([b, c, d, e])).toBe(1);
    expect(await brokenAt([a, c, b, d, e])).toBe(2);
    expect(await brokenAt([a, a, b, c, d, e])).toBe(2);
    expect(await brokenAt([a, b, c])).toBe(4);
    expect(await brokenAt([])).toBe(1);
    expect(await brokenAt(chain(6).entries)).toBe(7);
  });

  it.each(['{"instance":', '5', 'null', '{}', '[]', '{"revision":3,"events":{}}'])(
    'shows an entry that is %s now',
    async (text) => {
      const read = function* (): Generator<Entry> {
        for (const entry of chain(5).entries)
          yield entry.revision === 3 ? readEntry(text) : readEntry(JSON.stringify(entry));
      };
      expect(await verifyChain(read(), ID, chain(5).head)).toMatchObject({
        entries: 2,
        broken: { revision: 3 },
      });
    },
  );

  it('shows a chain that was written anew, and one of another instance', async () => {
    const { head } = chain(5);
    expect(await brokenAt(chain(5, 'b').entries)).toBe(1);
    const last = chain(5).entries[4];
    if (last === undefined) throw new Error('no last entry');
    const hash = hashEntry({ ...last, at: 99 });
    expect((await verifyChain(replaced(4, { at: 99, hash }), ID, head)).broken).toEqual({
      revision: 6,
      reason: 'the last entry is not the one that the instance remembers',
    });
  });

  it('gives entries different hashes whose fields would join to the same text', () => {
    const entry = { instance: ID, firstSeq: 1, at: 1, events: [], previous: asDigest('0'.repeat(64)) };
    expect(hashEntry({ ...entry, revision: 11, firstSeq: 1 })).not.toBe(
      hashEntry({ ...entry, revision: 1, firstSeq: 11 }),
    );
    expect(hashEntry({ ...entry, instance: asInstanceId('a1'), revision: 1 })).not.toBe(
      hashEntry({ ...entry, instance: asInstanceId('a'), revision: 11 }),
    );
  });

  it('survives being stored, whatever the events hold', () => {
    for (const text of ['\u0000', '\ud800', '"\\', '\u2028', '-0', '__proto__']) {
      const { text: stored, hash } = encodeEntry(creation('a', { user: text, labels: [[text, text]] }));
      expect(hashEntry(decodeEntry(stored))).toBe(hash);
    }
  });
});
