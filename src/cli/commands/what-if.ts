/** `vapora policy what-if`: what other policies would have said to what was asked. */
import { resolve } from 'node:path';
import type { Flip, PolicyFile } from '../../core/decision-log.js';
import { VaporaError } from '../../core/errors.js';
import { readEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { tableLines } from '../table.js';
import { clean, count, isoTime, moment } from '../text.js';
import type { WhatIfOptions } from '../tree-server.js';

const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000 };
const MAX_SHOWN = 50;

export async function whatIf(shell: Shell, directory: string, options: WhatIfOptions): Promise<number> {
  const since = shell.clock.now() - ageOf(options.since);
  const files = await filesOf(resolve(shell.host.cwd, directory));
  return readEngine(shell, async ({ whatIf: ask }) => {
    const report = await ask(files, since);
    const { requests, decisions, flips, newlyDenied, newlyAllowed, isCut } = report;
    shell.json({
      since: isoTime(since),
      requests,
      decisions,
      newly_denied: newlyDenied,
      newly_allowed: newlyAllowed,
      is_cut: isCut,
      flips: flips.map(flipJson),
    });
    if (flips.length > 0) {
      const head = ['FLIP', 'TIMES', 'FIRST', 'WHO', 'ACTION', 'ON', 'WHY'];
      shell.say(
        ...tableLines(
          head,
          flips.slice(0, MAX_SHOWN).map((flip) => row(flip, shell)),
          shell.colors,
        ),
        '',
      );
    }
    if (flips.length > MAX_SHOWN) shell.say(`and ${flips.length - MAX_SHOWN} more: --json has them`);
    const ofWhat = `${count(decisions, 'recorded decision')} since ${moment(since)}`;
    shell.say(`${ofWhat}: ${newlyDenied} would be denied, ${newlyAllowed} would be allowed`);
    if (isCut) shell.note('there is more than can be looked at in one go: give a shorter `--since`');
    return 0;
  });
}

function ageOf(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,5})([dhm])$/.exec(text) ?? [];
  const age = Number(number) * (UNITS[unit] ?? 0);
  if (age > 0) return age;
  throw new VaporaError('usage', `\`--since\` is \`${clean(text)}\`, not an age`, {
    hint: 'write it as `7d`, `12h` or `30m`',
  });
}

/** The directory as an engine would load it: whatever is wrong with it is said here already, with places in the files as the user knows them. */
async function filesOf(directory: string): Promise<readonly PolicyFile[]> {
  const [{ readPolicyDirectory }, { CedarAuthorizer }] = await Promise.all([
    import('../../auth/load.js'),
    import('../../auth/cedar.js'),
  ]);
  (await CedarAuthorizer.loadFromDir(directory)).close();
  const { policies, schemas, entities } = await readPolicyDirectory(directory);
  const files = entities === null ? [...policies, ...schemas] : [...policies, ...schemas, entities];
  return files.map(({ name, text }) => ({ name, text }));
}

function row({ at, count: times, request, was, wouldBe }: Flip, { colors }: Shell): string[] {
  const { principal, action, resource } = request;
  const tone = wouldBe.effect === 'deny' ? colors.red : colors.green;
  return [
    tone(`${was.effect} → ${wouldBe.effect}`),
    String(times),
    moment(at),
    clean(`${principal.type} ${principal.id}`),
    clean(action),
    clean(`${resource.type} ${resource.id}`),
    clean(wouldBe.reason),
  ];
}

function flipJson({ at, count: times, request, was, wouldBe }: Flip): Record<string, unknown> {
  return { at: isoTime(at), count: times, request, was, would_be: wouldBe };
}
