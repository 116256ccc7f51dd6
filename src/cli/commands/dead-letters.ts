/** `vapora dead-letters`: compensations that ran out of attempts and wait for an operator. */
import type { DeadLetter, WorkflowApi } from '../../core/api.js';
import { VaporaError } from '../../core/errors.js';
import { findStage } from '../../core/instance.js';
import { wishAndDrive } from '../drive.js';
import { requireText } from '../input.js';
import { letterJson, resultJson } from '../json.js';
import { guess } from '../nearest.js';
import { readEngine, withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';
import { summaryLines } from '../summary.js';
import { tableLines } from '../table.js';
import { clean, count, moment } from '../text.js';

export async function listLetters(shell: Shell): Promise<number> {
  return readEngine(shell, async ({ api }) => {
    const letters = await api.deadLetters();
    shell.json({ dead_letters: letters.map(letterJson) });
    shell.say(...letterLines(letters, shell));
    return 0;
  });
}

function letterLines(letters: readonly DeadLetter[], { colors }: Shell): string[] {
  if (letters.length === 0) return ['no dead letters'];
  const rows = letters.map((letter) => [
    clean(letter.id),
    clean(letter.workflow),
    String(letter.attempts),
    moment(letter.at),
    clean(letter.message),
  ]);
  return [
    ...tableLines(['LETTER', 'WORKFLOW', 'ATTEMPTS', 'SINCE', 'WHY'], rows, colors),
    '',
    `${count(letters.length, 'dead letter')}: vapora dead-letters retry LETTER, or resolve LETTER --reason TEXT`,
  ];
}

export async function retryLetter(shell: Shell, letter: string, options: PersonOptions): Promise<number> {
  return withEngine(shell, async (session) => {
    const { id, stage } = await findLetter(session.api, letter);
    const by = session.person(options);
    const rest = await wishAndDrive(shell, session, id, () => session.api.retryDeadLetter(letter, by));
    return findStage(rest, stage)?.compensation.status === 'compensated' ? 0 : 1;
  });
}

export interface ResolveOptions extends PersonOptions {
  readonly reason: string;
}

export async function resolveLetter(shell: Shell, letter: string, options: ResolveOptions): Promise<number> {
  const reason = requireText(options.reason, '`--reason`');
  return withEngine(shell, async ({ api, person }) => {
    await findLetter(api, letter);
    const instance = await api.resolveDeadLetter(letter, person(options), reason);
    shell.json(resultJson(instance, await api.artifacts(instance.id)));
    shell.say(`resolved ${clean(letter)}`, ...summaryLines(instance, shell.colors));
    return 0;
  });
}

/** A letter is `INSTANCE/STAGE`. Throws `dead_letter_unknown`. */
async function findLetter(api: WorkflowApi, letter: string): Promise<{ id: string; stage: string }> {
  const at = letter.indexOf('/');
  if (at > 0 && at < letter.length - 1) return { id: letter.slice(0, at), stage: letter.slice(at + 1) };
  const open = (await api.deadLetters()).map(({ id }) => id);
  const hint = guess(letter, open, 'open dead letters', 'there are no dead letters');
  throw new VaporaError(
    'dead_letter_unknown',
    `\`${clean(letter, 200)}\` is no dead letter, which is \`INSTANCE/STAGE\``,
    { hint },
  );
}
