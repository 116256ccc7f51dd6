/** `vapora approve` and `vapora reject`: a person's word on a stage that waits for it. */
import { exitOfEnding, exitOfRest, wishAndDrive } from '../drive.js';
import { requireText } from '../input.js';
import { withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';

export interface ApproveOptions extends PersonOptions {
  readonly comment?: string;
}

export async function approve(
  shell: Shell,
  id: string,
  stage: string,
  options: ApproveOptions,
): Promise<number> {
  return withEngine(shell, async (session) => {
    const by = session.person(options);
    const { comment } = options;
    const wish = () => session.api.approve(id, stage, by, comment === undefined ? {} : { comment });
    return exitOfRest(await wishAndDrive(shell, session, id, wish));
  });
}

export interface RejectOptions extends PersonOptions {
  readonly reason: string;
}

export async function reject(
  shell: Shell,
  id: string,
  stage: string,
  options: RejectOptions,
): Promise<number> {
  const reason = requireText(options.reason, '`--reason`');
  return withEngine(shell, async (session) => {
    const by = session.person(options);
    const wish = () => session.api.reject(id, stage, by, reason);
    return exitOfEnding(await wishAndDrive(shell, session, id, wish));
  });
}
