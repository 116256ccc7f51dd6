/** `vapora purge`: one run of what a server does by itself, see `[engine.retention]`. */
import { resolve } from 'node:path';
import type { RetentionSettings } from '../../config/settings.js';
import { VaporaError } from '../../core/errors.js';
import { parseCount } from '../input.js';
import { logLevel, logWriter } from '../log.js';
import { readConfig } from '../session.js';
import type { Shell } from '../shell.js';
import { count } from '../text.js';

export interface PurgeOptions {
  readonly keepDays?: string;
  readonly archive?: string;
}

const MAX_DAYS = 36_500;
const DAY_MS = 86_400_000;

export async function purge(shell: Shell, options: PurgeOptions): Promise<number> {
  const [{ openEngine }, { createLogger }] = await Promise.all([
    import('../../compose.js'),
    import('../../observe/logger.js'),
  ]);
  const config = await readConfig(shell);
  const retention = settingsOf(shell, config.engine.retention, options);
  const logger = createLogger(logLevel(shell.host.env, false), logWriter(shell));
  const engine = await openEngine({ ...config, engine: { ...config.engine, retention } }, { logger });
  try {
    const failed = engine.failed.then((error): never => {
      throw error;
    });
    const { purged, broken, contents, contentBytes } = await Promise.race([engine.retention.run(), failed]);
    const instances = [...purged.values()].reduce((sum, some) => sum + some, 0);
    shell.json({
      instances,
      workflows: Object.fromEntries(purged),
      broken,
      contents,
      content_bytes: contentBytes,
    });
    for (const [workflow, some] of purged) shell.say(`${workflow}: ${count(some, 'instance')}`);
    shell.say(`${count(instances, 'instance')} and ${count(contents, 'unused content')} removed`);
    if (broken > 0) shell.say(`${count(broken, 'instance')} kept, because their histories are broken`);
    return broken === 0 ? 0 : 1;
  } finally {
    await engine.close();
  }
}

function settingsOf(
  shell: Shell,
  configured: RetentionSettings,
  { keepDays, archive }: PurgeOptions,
): RetentionSettings {
  const keepMs =
    keepDays === undefined ? configured.keepMs : parseCount(keepDays, '`--keep-days`', 0, MAX_DAYS) * DAY_MS;
  if (keepMs === null) {
    throw new VaporaError('usage', 'nothing says how long to keep what has ended', {
      hint: 'give `--keep-days`, or configure `keep_days` in `[engine.retention]`',
    });
  }
  const archiveDir = archive === undefined ? configured.archiveDir : resolve(shell.host.cwd, archive);
  return { keepMs, archiveDir };
}
