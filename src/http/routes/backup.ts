import { compress } from '../../backup/file.js';
import { VaporaError } from '../../core/errors.js';
import type { App, ServerContext } from '../context.js';
import { getBackup } from '../contract/backup.js';
import { addRoute } from '../routing.js';

export function backupRoutes(app: App, context: ServerContext): void {
  let isUnderWay = false;
  addRoute(app, getBackup, async ({ identity, reply }) => {
    context.guard.checkEngine(identity, 'make-backup');
    if (isUnderWay) {
      throw new VaporaError('engine_overloaded', 'another backup is being made', { hint: 'try again later' });
    }
    isUnderWay = true;
    const bytes = compress(context.backup());
    bytes.once('close', () => {
      isUnderWay = false;
    });
    return reply
      .type('application/gzip')
      .header('content-disposition', 'attachment; filename="vapora.backup"')
      .header('cache-control', 'no-store')
      .send(bytes);
  });
}
