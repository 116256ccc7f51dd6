/** `vapora backup` and `vapora restore`. */
import { resolve } from 'node:path';
import type { BackupSummary } from '../../backup/format.js';
import { redactStoreUrl } from '../../config/store-url.js';
import { readConfig, readEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { clean, count } from '../text.js';

export async function makeBackup(shell: Shell, file: string): Promise<number> {
  const { saveBackup } = await import('../../backup/file.js');
  return readEngine(shell, async (session) => {
    const path = resolve(shell.host.cwd, file);
    const summary = await saveBackup(path, session.backup());
    report(shell, summary, `backed up to ${clean(path)}`);
    return summary.broken.length === 0 ? 0 : 1;
  });
}

export async function restore(shell: Shell, file: string): Promise<number> {
  const [{ readBackup }, { inspectBackup }, { restoreBackup }, { SurrealWorkflowStore }] = await Promise.all([
    import('../../backup/file.js'),
    import('../../backup/read.js'),
    import('../../backup/restore.js'),
    import('../../store/surreal/store.js'),
  ]);
  const { engine } = await readConfig(shell);
  const path = resolve(shell.host.cwd, file);
  const { clock } = shell;
  // all of it once before anything is written: a damaged backup leaves nothing behind
  await inspectBackup(readBackup(path));
  const store = await SurrealWorkflowStore.open(engine.store, { clock, isRestoring: true });
  try {
    const summary = await restoreBackup(store, readBackup(path), () => clock.now());
    report(shell, summary, `restored into ${clean(redactStoreUrl(engine.store))}`);
    return 0;
  } finally {
    await store.close();
  }
}

function report(shell: Shell, summary: BackupSummary, done: string): void {
  const { at, instances, entries, contents, broken } = summary;
  shell.json({
    at,
    instances,
    entries,
    contents,
    broken: broken.map(({ id, reason }) => ({ workflow_id: id, reason })),
  });
  for (const { id, reason } of broken)
    shell.say(`${shell.colors.red('✗')} ${clean(id)} is left out: ${clean(reason)}`);
  shell.say(
    `${count(instances, 'instance')} with ${entries === 1 ? '1 entry' : `${entries} entries`}, ${done}`,
  );
}
