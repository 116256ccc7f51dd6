/** `[[agents]]`: programs, services that are called, and language models. */
import { isAbsolute, resolve } from 'node:path';
import { type AgentRow, DEFAULT_MODEL } from './agent-shape.js';
import { type DocumentNode, originOf } from './document.js';
import { isListed, type OutboundSettings } from './outbound.js';
import { type PromptTemplate, parsePrompt, SLOT_RULE } from './prompt.js';
import { reportRepeated } from './repeated.js';
import type { Report } from './report.js';
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

export interface ModelAgentConfig {
  readonly name: string;
  readonly roles: readonly string[];
  /** Tasks at once. */
  readonly maxConcurrent: number;
  /** As the service knows it. */
  readonly model: string;
  /** Of a service that speaks the protocol of OpenAI. */
  readonly baseUrl: string;
  /** Environment variable of the key; null: none is sent. */
  readonly apiKeyEnv: string | null;
  readonly system: string | null;
  readonly prompt: PromptTemplate;
  /** JSON Schema of the answer; null: it is text. */
  readonly schema: Readonly<Record<string, unknown>> | null;
  /** What the answer becomes. */
  readonly artifact: { readonly name: string; readonly kind: string };
  readonly maxOutputTokens: number | null;
  readonly temperature: number | null;
  /** Millionths of a US dollar for one token. */
  readonly price: { readonly input: number; readonly output: number };
  /** Of one attempt; null: a default. */
  readonly timeoutMs: number | null;
}

export type AgentConfig = CommandAgentConfig | WebhookAgentConfig | ModelAgentConfig;

export function isModelAgent(agent: AgentConfig): agent is ModelAgentConfig {
  return 'model' in agent;
}

export function isCommandAgent(agent: AgentConfig): agent is CommandAgentConfig {
  return 'command' in agent;
}

/** The environment variable that the agent can't work without, and that is not set; null: there is none. */
export function missingVariable(agent: AgentConfig, env: NodeJS.ProcessEnv): string | null {
  if (isCommandAgent(agent)) return null;
  const variable = isModelAgent(agent) ? agent.apiKeyEnv : agent.secretEnv;
  return variable !== null && (env[variable] ?? '') === '' ? variable : null;
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
  model: [
    'base_url',
    'api_key_env',
    'system',
    'prompt',
    'schema',
    'artifact',
    'kind',
    'max_output_tokens',
    'temperature',
    'price',
  ],
} as const;

function buildAgent(row: AgentRow, path: KeyPath, around: AgentSurroundings): AgentConfig | null {
  const { root, report } = around;
  const kinds = Object.keys(KEYS_OF) as (keyof typeof KEYS_OF)[];
  const given = kinds.filter((kind) => row[kind] !== undefined);
  const [kind] = given;
  const subject = `agent ${quoted(row.name)}`;
  if (kind === undefined || given.length > 1) {
    const listed = (some: readonly string[], word: string) =>
      some.map((key) => `\`${key}\``).join(` ${word} `);
    const message =
      kind === undefined
        ? `${subject} has neither ${listed(kinds, 'nor')}`
        : `${subject} has both ${listed(given, 'and')}`;
    report.error({ message, path, origin: originOf(root, path), expected: 'one of them' });
    return null;
  }
  for (const other of kinds.filter((known) => known !== kind).flatMap((known) => KEYS_OF[known])) {
    if (row[other] === undefined) continue;
    const at = [...path, other];
    const message = `${subject} has a \`${kind}\`, for which \`${other}\` means nothing`;
    report.error({ message, path: at, origin: originOf(root, at), expected: 'no such key' });
  }
  if (kind === 'model') return buildModel(row, path, around);
  return kind === 'url' ? buildWebhook(row, path, around) : buildCommand(row, path, around);
}

function buildWebhook(row: AgentRow, path: KeyPath, around: AgentSurroundings): WebhookAgentConfig {
  const { name, url = '', secret_env: secretEnv = '' } = row;
  const refuse = refusal(name, path, around);
  checkUrl('url', url, around.outbound, refuse);
  if (secretEnv === '') refuse('secret_env', 'has a `url` and no `secret_env`', VARIABLE_RULE);
  else checkVariable('secret_env', secretEnv, refuse);
  return { ...commonOf(row), url, secretEnv };
}

/** What a million costs in dollars one costs in millionths of a dollar. */
function buildModel(row: AgentRow, path: KeyPath, around: AgentSurroundings): ModelAgentConfig {
  const { model = '', base_url: baseUrl, api_key_env: apiKeyEnv, prompt, price } = row;
  const refuse = refusal(row.name, path, around);
  if (baseUrl === undefined) refuse('base_url', 'has a `model` and no `base_url`', 'the URL of a service');
  else checkUrl('base_url', baseUrl, around.outbound, refuse);
  if (apiKeyEnv !== undefined) checkVariable('api_key_env', apiKeyEnv, refuse);
  const parsed = parsePrompt(prompt ?? '');
  if (prompt === undefined) refuse('prompt', 'has a `model` and no `prompt`', 'the text of a prompt');
  if ('unknown' in parsed) refuse('prompt', `has ${quoted(parsed.unknown)} in its \`prompt\``, SLOT_RULE);
  return {
    ...commonOf(row),
    model,
    baseUrl: baseUrl ?? '',
    apiKeyEnv: apiKeyEnv ?? null,
    system: row.system ?? null,
    prompt: 'unknown' in parsed ? [] : parsed,
    schema: row.schema ?? null,
    artifact: { name: row.artifact ?? DEFAULT_MODEL.artifact, kind: row.kind ?? DEFAULT_MODEL.kind },
    maxOutputTokens: row.max_output_tokens ?? null,
    temperature: row.temperature ?? null,
    price: { input: price?.input ?? 0, output: price?.output ?? 0 },
  };
}

type Refuse = (key: string, message: string, expected: string) => void;

function refusal(name: string, path: KeyPath, { root, report }: AgentSurroundings): Refuse {
  return (key, message, expected) => {
    const at = [...path, key];
    report.error({
      message: `agent ${quoted(name)} ${message}`,
      path: at,
      origin: originOf(root, at),
      expected,
    });
  };
}

const VARIABLE_RULE = 'the name of an environment variable; the secret itself never stands in the file';

function checkVariable(key: string, written: string, refuse: Refuse): void {
  // it may well be the secret itself
  if (!VARIABLE.test(written)) refuse(key, `has a \`${key}\` that is no name of a variable`, VARIABLE_RULE);
}

function checkUrl(key: string, written: string, outbound: OutboundSettings, refuse: Refuse): void {
  const url = URL.canParse(written) ? new URL(written) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    // it may have a password in it
    refuse(
      key,
      `has a \`${key}\` that can not be called`,
      'an `http` or `https` URL without a user and a password',
    );
  } else if (!isListed(outbound, url)) {
    const message = `calls ${quoted(url.host)}, which \`engine.outbound.hosts\` does not list`;
    refuse(key, message, 'a host of that list');
  }
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
