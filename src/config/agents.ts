/** `[[agents]]`: programs that carry out tasks, and services that are called to. */
import { isAbsolute, resolve } from 'node:path';
import { type DocumentNode, originOf } from './document.js';
import { isListed, type OutboundSettings } from './outbound.js';
import { reportRepeated } from './repeated.js';
import type { Report } from './report.js';
import type { AgentRow } from './schema.js';
import { toMsOrNull } from './settings.js';
import { type KeyPath, quoted } from './text.js';
import { VARIABLE } from './variable.js';

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

export interface WebhookAgentConfig {
  readonly name: string;
  readonly roles: readonly string[];
  /** Tasks at once. */
  readonly maxConcurrent: number;
  readonly url: string;
  /** Environment variable of the secret that calls and answers are signed with. */
  readonly secretEnv: string;
  /** Of one attempt; null: a default for the call, and another for an answer that comes later. */
  readonly timeoutMs: number | null;
}

export type AgentConfig = CommandAgentConfig | WebhookAgentConfig;

export function isCommandAgent(agent: AgentConfig): agent is CommandAgentConfig {
  return 'command' in agent;
}

export interface AgentSurroundings {
  readonly directory: string;
  readonly outbound: OutboundSettings;
  readonly root: DocumentNode;
  readonly report: Report;
}

export function buildAgents(
  rows: readonly (AgentRow | undefined)[],
  around: AgentSurroundings,
): readonly AgentConfig[] {
  const { root, report } = around;
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
    return buildAgent(row, ['agents', index], around) ?? [];
  });
}

/** Keys that only one kind of agent has. */
const KEYS_OF = {
  command: ['cwd', 'env'],
  url: ['secret_env'],
} as const;

function buildAgent(row: AgentRow, path: KeyPath, around: AgentSurroundings): AgentConfig | null {
  const { root, report } = around;
  const kinds = Object.keys(KEYS_OF) as (keyof typeof KEYS_OF)[];
  const given = kinds.filter((kind) => row[kind] !== undefined);
  const [kind] = given;
  const subject = `agent ${quoted(row.name)}`;
  if (kind === undefined || given.length > 1) {
    const message = `${subject} has ${kind === undefined ? 'neither' : 'both'} \`command\` ${kind === undefined ? 'nor' : 'and'} \`url\``;
    report.error({ message, path, origin: originOf(root, path), expected: 'one of them' });
    return null;
  }
  for (const other of kinds.filter((known) => known !== kind).flatMap((known) => KEYS_OF[known])) {
    if (row[other] === undefined) continue;
    const at = [...path, other];
    const message = `${subject} has a \`${kind}\`, for which \`${other}\` means nothing`;
    report.error({ message, path: at, origin: originOf(root, at), expected: 'no such key' });
  }
  return kind === 'url' ? buildWebhook(row, path, around) : buildCommand(row, path, around);
}

function buildWebhook(row: AgentRow, path: KeyPath, around: AgentSurroundings): WebhookAgentConfig {
  const { outbound, root, report } = around;
  const { name, url = '', secret_env: secretEnv = '' } = row;
  const refuse = (key: string, message: string, expected: string) => {
    const at = [...path, key];
    report.error({
      message: `agent ${quoted(name)} ${message}`,
      path: at,
      origin: originOf(root, at),
      expected,
    });
  };
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (
    parsed === null ||
    !/^https?:$/.test(parsed.protocol) ||
    parsed.username !== '' ||
    parsed.password !== ''
  ) {
    // it may have a password in it
    refuse(
      'url',
      'has a `url` that can not be called',
      'an `http` or `https` URL without a user and a password',
    );
  } else if (!isListed(outbound, parsed)) {
    const message = `calls ${quoted(parsed.host)}, which \`engine.outbound.hosts\` does not list`;
    refuse('url', message, 'a host of that list');
  }
  if (!VARIABLE.test(secretEnv)) {
    const message =
      secretEnv === ''
        ? 'has a `url` and no `secret_env`'
        : 'has a `secret_env` that is no name of a variable';
    refuse(
      'secret_env',
      message,
      'the name of an environment variable; the secret itself never stands in the file',
    );
  }
  return { ...commonOf(row), url, secretEnv };
}

function commonOf(row: AgentRow) {
  return {
    name: row.name,
    roles: row.roles.filter((role) => role !== undefined),
    maxConcurrent: row.max_concurrent ?? 1,
    timeoutMs: toMsOrNull(row.timeout),
  };
}

function buildCommand(
  row: AgentRow,
  path: KeyPath,
  { directory, root, report }: AgentSurroundings,
): CommandAgentConfig {
  const programPath = [...path, 'command', 0];
  const [program = '', ...args] = (row.command ?? []).map((argument) => argument ?? '');
  if (program === '' && row.command?.[0] !== undefined) {
    report.error({
      message: `agent ${quoted(row.name)} has an empty program`,
      path: programPath,
      origin: originOf(root, programPath),
      expected: 'the name or path of a program',
    });
  }
  const isPath = program.includes('/') && !isAbsolute(program);
  return {
    ...commonOf(row),
    command: [isPath ? resolve(directory, program) : program, ...args],
    cwd: resolve(directory, row.cwd ?? '.'),
    // Defines own properties, so that a variable called `__proto__` is a variable like any other.
    env: Object.fromEntries(row.env ?? []),
  };
}
