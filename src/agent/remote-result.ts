/** From the result that an agent elsewhere hands in to the outcome of its attempt. */
import type { BlobRef } from '../core/instance.js';
import type { OutputArtifact, TaskOutcome } from '../core/ports.js';
import type { AttemptLimits } from './limits.js';
import { ArtifactBudget, checkResult, encodeContent, ProtocolError } from './outcome.js';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** `kept`: content that was handed in before, by its digest. Throws {@link ProtocolError}. */
export function remoteOutcome(
  result: unknown,
  log: Uint8Array | null,
  limits: AttemptLimits,
  kept: (digest: string) => BlobRef | undefined,
): TaskOutcome {
  const { artifacts, output, used } = checkResult(result, ['content', 'content_base64', 'digest'], limits);
  const budget = new ArtifactBudget(limits);
  const handedIn = artifacts.map(({ name, kind, entry }): OutputArtifact => {
    const content = contentOf(name, entry, kept);
    budget.spend(name, content instanceof Uint8Array ? content.byteLength : content.size);
    return { name, kind, content };
  });
  return { status: 'completed', artifacts: handedIn, output, log, ...used };
}

function contentOf(
  name: string,
  entry: Readonly<Record<string, unknown>>,
  kept: (digest: string) => BlobRef | undefined,
): OutputArtifact['content'] {
  if (entry.content !== undefined) return encodeContent(name, entry.content);
  const { content_base64: encoded, digest } = entry;
  if (encoded !== undefined) {
    if (typeof encoded === 'string' && BASE64.test(encoded)) {
      return new Uint8Array(Buffer.from(encoded, 'base64'));
    }
    throw new ProtocolError(`returned artifact \`${name}\` whose \`content_base64\` is not base64`);
  }
  const ref = kept(String(digest));
  if (ref === undefined) {
    throw new ProtocolError(`returned artifact \`${name}\` whose \`digest\` is of nothing that it handed in`);
  }
  return ref;
}
