import { describe, expect, it } from 'vitest';
import { MAX_INLINE_BYTES } from '../core/instance.js';
import { asDigest } from '../core/names.js';
import { emptyMemory, MemoryWorkflowStore } from '../store/memory.js';
import { inlineRef, loadBlob, saveBlob } from './blobs.js';
import { sha256 } from './digest.js';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('content', () => {
  it.each([
    ['nothing', bytes(''), true],
    ['small text', bytes('grüße \0 \u{1f600}'), true],
    ['the largest text that travels inline', bytes('x'.repeat(MAX_INLINE_BYTES)), true],
    ['larger text', bytes('x'.repeat(MAX_INLINE_BYTES + 1)), false],
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0), false],
    ['half a surrogate pair in UTF-8', Uint8Array.of(0xed, 0xa0, 0x80), false],
  ])('comes back as it was: %s', async (_, content, isInline) => {
    const data = emptyMemory();
    const store = new MemoryWorkflowStore(data);
    const ref = await saveBlob(store, content);
    expect(ref).toMatchObject({ digest: sha256(content), size: content.byteLength });
    expect(inlineRef(content) !== null).toBe(isInline);
    expect(data.blobs.size).toBe(isInline ? 0 : 1);
    expect(Uint8Array.from(await loadBlob(store, ref))).toEqual(content);
  });

  it('that is not there is an error', async () => {
    const ref = { digest: asDigest('0'.repeat(64)), size: 1 };
    await expect(loadBlob(new MemoryWorkflowStore(), ref)).rejects.toMatchObject({
      code: 'artifact_unknown',
    });
  });
});
