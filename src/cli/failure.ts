/** How errors are shown, and which exit code they have. */
import { CommanderError } from 'commander';
import { ERRORS, type Problem, VaporaError } from '../core/errors.js';
import { errorJson } from './json.js';
import { type Palette, paletteFor } from './palette.js';
import type { Host } from './shell.js';
import { clean } from './text.js';

/** A bug of ours, not an operating error: `EX_SOFTWARE` of sysexits. */
const INTERNAL_EXIT = 70;
/** What a configuration of many thousand problems may print. */
const MAX_SHOWN_PROBLEMS = 200;

/** The user has interrupted the command, and has been told at once what becomes of it. */
export class Interruption extends VaporaError {
  /** With `isServer` the instance goes on without the command. */
  constructor(followed: string | undefined, isServer: boolean) {
    const after = isServer
      ? `the server goes on with it; \`vapora history ${followed} --follow\` shows how`
      : `state is kept; go on with \`vapora resume ${followed}\``;
    super('engine_stopping', followed === undefined ? 'interrupted' : `interrupted: ${after}`);
  }
}

/** Shows an error on stderr, with `isJson` also as the last JSON line on stdout. Answers the exit code. */
export function reportFailure(host: Host, error: unknown, isJson: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  // no command was given; its help has been shown instead
  if (error instanceof CommanderError && error.code === 'commander.help' && !isJson) return ERRORS.usage.exit;
  const known = error instanceof CommanderError ? usageError(error) : error;
  if (!(known instanceof VaporaError)) return reportBug(host, known, isJson);
  if (isJson) host.stdout.write(`${JSON.stringify(errorJson(known))}\n`);
  if (known instanceof Interruption) return ERRORS[known.code].exit;
  for (const line of errorLines(known, paletteFor(host.stderr, host.env))) host.stderr.write(`${line}\n`);
  return ERRORS[known.code].exit;
}

/** `error[code]: message`, its problems, what to do about it. */
export function errorLines(error: VaporaError, colors: Palette): string[] {
  const lines = [`${colors.red(`error[${error.code}]`)}: ${clean(error.message)}`];
  for (const problem of error.problems.slice(0, MAX_SHOWN_PROBLEMS)) {
    lines.push(`  ${problemLine(problem, colors)}`);
  }
  const more = error.problems.length - MAX_SHOWN_PROBLEMS;
  if (more > 0) lines.push(`  and ${more} more`);
  if (error.hint !== undefined) lines.push(`${colors.cyan('hint')}: ${clean(error.hint)}`);
  return lines;
}

/** `file:line:col severity message, expected … (hint)`: what editors can jump to. */
export function problemLine(problem: Problem, colors: Palette): string {
  const { place, severity } = problem;
  const where = place === undefined ? '' : `${clean(place.file)}:${place.line}:${place.column} `;
  const tone = severity === 'error' ? colors.red : colors.yellow;
  const expected = problem.expected === undefined ? '' : `, expected ${clean(problem.expected)}`;
  const hint = problem.hint === undefined ? '' : ` (${clean(problem.hint)})`;
  return `${where}${tone(severity)} ${clean(problem.message)}${expected}${hint}`;
}

/** Commander's words in ours: ``unknown command `rn` ``, its guess as a hint. */
function usageError(error: CommanderError): VaporaError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const meant = /\(Did you mean (.*)\?\)/.exec(rest.join(' '))?.[1];
  const message = first === '(outputHelp)' ? 'a command is missing' : inOurWords(first);
  const hint =
    meant === undefined
      ? 'see `vapora --help`, or `--help` behind any command'
      : `did you mean ${meant
          .replace(/^one of /, '')
          .split(', ')
          .map((name) => `\`${name}\``)
          .join(' or ')}?`;
  return new VaporaError('usage', message, { hint });
}

function inOurWords(text: string): string {
  const quoted = text.replace(/'([^']*)'/g, '`$1`').replace(/\.$/, '');
  const lower = quoted.charAt(0).toLowerCase() + quoted.slice(1);
  return lower.replace('. Expected', ': expected');
}

function reportBug(host: Host, error: unknown, isJson: boolean): number {
  const message = error instanceof Error ? error.message : String(error);
  if (isJson) {
    host.stdout.write(`${JSON.stringify({ type: 'error', code: 'internal', message, problems: [] })}\n`);
  }
  host.stderr.write(`error[internal]: ${clean(message)}\n`);
  const isDebugging = host.env.VAPORA_LOG === 'debug';
  if (isDebugging && error instanceof Error) host.stderr.write(`${error.stack ?? ''}\n`);
  host.stderr.write(
    `hint: this is a bug of vapora; state is kept${isDebugging ? '' : ', and VAPORA_LOG=debug shows where it is'}\n`,
  );
  return INTERNAL_EXIT;
}
