/** The engine's log on the command line: what of it is shown, and in which words. */
import { VaporaError } from '../core/errors.js';
import type { Shell } from './shell.js';
import { clean } from './text.js';

const LEVELS: readonly string[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** The level that `VAPORA_LOG` asks for, or null. Throws `usage` for one that is none: it would go unnoticed. */
export function askedLevel(env: NodeJS.ProcessEnv): string | null {
  const asked = env.VAPORA_LOG ?? '';
  if (asked === '' || LEVELS.includes(asked)) return asked === '' ? null : asked;
  const message = `environment variable \`VAPORA_LOG\` is \`${clean(asked, 100)}\`, which is no level of the log`;
  throw new VaporaError('usage', message, { hint: `levels are ${LEVELS.join(', ')}` });
}

/** Unless it is asked for, warnings are for those who drive something, and errors for all. */
export function logLevel(env: NodeJS.ProcessEnv, isReading: boolean): string {
  return askedLevel(env) ?? (isReading ? 'error' : 'warn');
}

/** Whoever sets `VAPORA_LOG` wants the log as it is, one JSON object a line; others get words. */
export function logWriter(shell: Shell): { write(line: string): void } {
  const isAsked = askedLevel(shell.host.env) !== null;
  return { write: (line) => shell.note(isAsked ? line.trimEnd() : logWords(line)) };
}

/** A line of the log for people: its message, and why. */
export function logWords(line: string): string {
  const entry: unknown = JSON.parse(line);
  const { msg, reason, err, ...rest } = { ...(typeof entry === 'object' ? entry : null) } as Record<
    string,
    unknown
  >;
  const message = typeof err === 'object' && err !== null && 'message' in err ? err.message : undefined;
  const where = ['instance', 'stage', 'agent'].flatMap((key) =>
    key in rest ? [`${key} ${String(rest[key])}`] : [],
  );
  const parts = [where.join(', '), String(msg ?? ''), String(reason ?? message ?? '')];
  return `warning: ${parts
    .filter((part) => part !== '')
    .map((part) => clean(part))
    .join(': ')}`;
}
