/** `[[agents]]`: programs that carry out tasks. */
import { isAbsolute, resolve } from 'node:path';
import { type DocumentNode, originOf } from './document.js';
import { reportRepeated } from './repeated.js';
import type { Report } from './report.js';
import type { AgentRow } from './schema.js';
import { toMsOrNull } from './settings.js';
import { type KeyPath, quoted } from './text.js';

export interface CommandAgentConfig {
  readonly name: string;
  readonly roles: readonly string[];
  /** Tasks at once. */
  readonly maxConcurrent: number;
  /** The program, absolute or to be looked up in PATH, and its arguments. */
  readonly command: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of one attempt; null: no limit. */
  readonly timeoutMs: number | null;
}

export function buildAgents(
  rows: readonly (AgentRow | undefined)[],
  directory: string,
  root: DocumentNode,
  report: Report,
): readonly CommandAgentConfig[] {
  reportRepeated(
    rows.map((row) => row?.name),
    (index) => ['agents', index, 'name'],
    (name) => `agent ${name} is defined twice`,
    root,
    report,
  );
  return rows.flatMap((row, index) => {
    if (row === undefined) return [];
    const path = ['agents', index, 'roles'];
    const twice = (role: string) => `agent ${quoted(row.name)} names role ${role} twice`;
    reportRepeated(row.roles, (at) => [...path, at], twice, root, report);
    return [buildAgent(row, ['agents', index, 'command', 0], directory, root, report)];
  });
}

function buildAgent(
  row: AgentRow,
  programPath: KeyPath,
  directory: string,
  root: DocumentNode,
  report: Report,
): CommandAgentConfig {
  const [program = '', ...args] = row.command.map((argument) => argument ?? '');
  if (program === '' && row.command[0] !== undefined) {
    report.error({
      message: `agent ${quoted(row.name)} has an empty program`,
      path: programPath,
      origin: originOf(root, programPath),
      expected: 'the name or path of a program',
    });
  }
  const isPath = program.includes('/') && !isAbsolute(program);
  return {
    name: row.name,
    roles: row.roles.filter((role) => role !== undefined),
    maxConcurrent: row.max_concurrent ?? 1,
    command: [isPath ? resolve(directory, program) : program, ...args],
    cwd: resolve(directory, row.cwd ?? '.'),
    // Defines own properties, so that a variable called `__proto__` is a variable like any other.
    env: Object.fromEntries(row.env ?? []),
    timeoutMs: toMsOrNull(row.timeout),
  };
}
