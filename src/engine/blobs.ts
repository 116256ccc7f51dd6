/** Content and references to it. */
import { isUtf8 } from 'node:buffer';
import { VaporaError } from '../core/errors.js';
import { type BlobRef, MAX_INLINE_BYTES } from '../core/instance.js';
import type { WorkflowStore } from '../core/ports.js';
import { sha256 } from './digest.js';

/**
 * A reference for content; null where the content must be saved first, see {@link saveBlob}. Small text travels inside the
 * reference, so most tasks cost no write of their own.
 */
export function inlineRef(content: Uint8Array): BlobRef | null {
  if (content.byteLength > MAX_INLINE_BYTES || !isUtf8(content)) return null;
  const { buffer, byteOffset, byteLength } = content;
  const inline = Buffer.from(buffer, byteOffset, byteLength).toString('utf8');
  return { digest: sha256(content), size: byteLength, inline };
}

/** Resolves once the content is on disk. */
export async function saveBlob(store: WorkflowStore, content: Uint8Array): Promise<BlobRef> {
  return inlineRef(content) ?? { digest: await store.saveBlob(content), size: content.byteLength };
}

/** Throws `artifact_unknown`. */
export async function loadBlob(store: WorkflowStore, ref: BlobRef): Promise<Uint8Array> {
  if (ref.inline !== undefined) return Buffer.from(ref.inline, 'utf8');
  const content = await store.loadBlob(ref.digest);
  if (content !== null) return content;
  throw new VaporaError(
    'artifact_unknown',
    `no content with digest \`${ref.digest.slice(0, 80)}\` is stored`,
  );
}
