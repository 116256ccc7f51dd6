import { shown } from '../config/text.js';
import type { Anchor } from '../core/attic.js';
import { VaporaError } from '../core/errors.js';

/** `anchor`: of one that had the id before. */
export function unknownInstance(id: string, anchor?: Anchor): VaporaError {
  return new VaporaError('instance_unknown', `there is no instance \`${shown(id)}\``, {
    hint: anchor === undefined ? '`vapora list` shows them' : goneHint(anchor),
  });
}

function goneHint({ status, purgedAt, revision, head }: Anchor): string {
  const at = new Date(purgedAt).toISOString();
  return `one that was ${status} was let go at ${at}: its history had ${revision} entries, the last with hash ${head}`;
}
