/** `vapora dead-letters`: compensations that ran out of attempts and wait for an operator. */
import { quoted } from '../../config/text.js';
import type { DeadLetter, LetterQuery, WorkflowApi } from '../../core/api.js';
import { VaporaError } from '../../core/errors.js';
import { findStage } from '../../core/instance.js';
import { wishAndDrive } from '../drive.js';
import { fullPage } from '../full-page.js';
import { parseCount, requireText } from '../input.js';
import { letterJson, resultJson } from '../json.js';
import { guess } from '../nearest.js';
import { readEngine, withEngine } from '../session.js';
import type { PersonOptions, Shell } from '../shell.js';
import { summaryLines } from '../summary.js';
import { tableLines } from '../table.js';
import { clean, count, moment } from '../text.js';

export interface ListLettersOptions {
  readonly workflow?: string;
  readonly instance?: string;
  readonly limit: string;
  readonly cursor?: string;
}

const MAX_LIMIT = 1_000;
/** Names that a guess is made from. */
const MAX_CANDIDATES = 200;

export async function listLetters(shell: Shell, options: ListLettersOptions): Promise<number> {
  const { workflow, instance, cursor } = options;
  const query: LetterQuery = {
    limit: parseCount(options.limit, '`--limit`', 1, MAX_LIMIT),
    ...(workflow === undefined ? {} : { workflow }),
    ...(instance === undefined ? {} : { instance }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  return readEngine(shell, async ({ api, catalog }) => {
    const { items, next } = await fullPage(query, (asked) => api.deadLetters(asked));
    if (items.length === 0 && workflow !== undefined && !(await catalog.workflows()).has(workflow)) {
      throw new VaporaError('workflow_unknown', `there is no workflow ${quoted(workflow)}`);
    }
    shell.json({ dead_letters: items.map(letterJson), next });
    shell.say(...letterLines(items, shell));
    if (next !== null) shell.say('', `more: --cursor ${clean(next)}`);
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
  const open = (await api.deadLetters({ limit: MAX_CANDIDATES })).items.map(({ id }) => id);
  const hint = guess(letter, open, 'open dead letters', 'there are no dead letters');
  throw new VaporaError(
    'dead_letter_unknown',
    `\`${clean(letter, 200)}\` is no dead letter, which is \`INSTANCE/STAGE\``,
    { hint },
  );
}
