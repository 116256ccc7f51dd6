/**
 * Ids of what triggers start. They follow from what set the trigger off, so that setting it off twice is one start: a crash between a
 * start and the note about it does no harm.
 */
import { MAX_NAME_CHARACTERS } from '../core/names.js';
import { sha256 } from '../engine/digest.js';

const HASH_CHARACTERS = 24;

/** The template's name, cut where the id would be too long; then a hash keeps what was cut apart. */
function withSuffix(workflow: string, suffix: string): string {
  const room = MAX_NAME_CHARACTERS - suffix.length;
  const characters = [...workflow];
  if (characters.length <= room) return workflow + suffix;
  const hash = `-${sha256(workflow).slice(0, HASH_CHARACTERS)}`;
  return characters.slice(0, room - hash.length).join('') + hash + suffix;
}

/** `nightly.20261125T020000Z`. */
export function scheduledId(workflow: string, at: number): string {
  const stamp = new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');
  return withSuffix(workflow, `.${stamp}`);
}

/** `release.hook-` and a hash of the delivery's id, which is the sender's to choose. */
export function deliveryId(workflow: string, delivery: string): string {
  return withSuffix(workflow, `.hook-${sha256(delivery).slice(0, HASH_CHARACTERS)}`);
}

/** `deploy.after-` and a hash of the id of the instance that ended: however long the chain, the id does not grow. */
export function chainedId(workflow: string, ended: string): string {
  return withSuffix(workflow, `.after-${sha256(ended).slice(0, HASH_CHARACTERS)}`);
}
