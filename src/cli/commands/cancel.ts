/** `vapora cancel`: ends an instance and takes back what it did. */
import { exitOfEnding, wishAndDrive } from '../drive.js';
import { withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';

export interface CancelOptions extends PersonOptions {
  /** False with `--no-compensate`. */
  readonly compensate: boolean;
}

export async function cancel(shell: Shell, id: string, options: CancelOptions): Promise<number> {
  return withEngine(shell, async (session) => {
    const by = session.person(options);
    const { compensate } = options;
    const wish = () => session.api.cancel(id, by, { compensate });
    return exitOfEnding(await wishAndDrive(shell, session, id, wish));
  });
}
