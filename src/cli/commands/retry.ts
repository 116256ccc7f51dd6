/** `vapora retry`: runs a blocked or ended instance again from where it failed. */
import { exitOfRest, wishAndDrive } from '../drive.js';
import { withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';

export async function retry(shell: Shell, id: string, options: PersonOptions): Promise<number> {
  return withEngine(shell, async (session) => {
    const by = session.person(options);
    const wish = async () => {
      const next = await session.api.retry(id, by);
      if (next.id !== id) shell.note(`instance ${id} has ended; ${next.id} goes on from it`);
      return next;
    };
    return exitOfRest(await wishAndDrive(shell, session, id, wish));
  });
}
