/** `vapora rollback`: takes an instance back, wholly or down to a stage; or shows what that would do. */
import type { RollbackPreview } from '../../core/api.js';
import { exitOfEnding, exitOfRest, wishAndDrive } from '../drive.js';
import { readEngine, withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';
import { clean, padTo, width } from '../text.js';

export interface RollbackOptions extends PersonOptions {
  readonly to?: string;
  readonly preview?: boolean;
}

export async function rollback(shell: Shell, id: string, options: RollbackOptions): Promise<number> {
  const { to } = options;
  if (options.preview === true) {
    return readEngine(shell, async ({ api }) => {
      const preview = await api.previewRollback(id, to);
      shell.json({ workflow_id: id, ...preview });
      shell.say(...previewLines(id, preview));
      return 0;
    });
  }
  return withEngine(shell, async (session) => {
    const by = session.person(options);
    const rest = await wishAndDrive(shell, session, id, () => session.api.rollback(id, by, to));
    return to === undefined ? exitOfEnding(rest) : exitOfRest(rest);
  });
}

export function previewLines(id: string, preview: RollbackPreview): string[] {
  const { target, entries } = preview;
  const end = target.end === 'resume' ? `and go on after ${clean(target.to)}` : `and end ${target.end}`;
  if (entries.length === 0)
    return [`there is nothing to take back in ${clean(id)}; it would only ${end.slice(4)}`];
  const columns = Math.max(...entries.map((entry) => width(clean(entry.stage))));
  return [
    `a rollback of ${clean(id)} would, in this order, ${end}:`,
    ...entries.map((entry, index) => {
      const what =
        entry.skip === null
          ? `take back, by ${entry.agents.map((agent) => clean(agent)).join(', ')}`
          : `keep: ${clean(entry.skip)}`;
      return `  ${String(index + 1).padStart(2)}. ${padTo(clean(entry.stage), columns)}  ${what}`;
    }),
  ];
}
