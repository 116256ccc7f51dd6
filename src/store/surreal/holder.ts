/** Who answers for a store: told to others through its lock. */
import { announceHolder, type LockHolder, readHolder } from './lock.js';
import { parseStoreUrl } from './url.js';

/** Tells others where this process answers for the store; null: nowhere any more. */
export async function announceServer(store: string, url: string | null): Promise<void> {
  const target = parseStoreUrl(store);
  if (target.kind === 'file') await announceHolder(target.path, url);
}

/** Who holds the store now; null: nobody alive, or it is no store of one holder. */
export async function holderOf(store: string): Promise<LockHolder | null> {
  const target = parseStoreUrl(store);
  return target.kind === 'file' ? readHolder(target.path) : null;
}
