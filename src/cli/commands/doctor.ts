/** `vapora doctor`: what this installation and configuration consist of, and what is wrong with them. */
import { readFileSync } from 'node:fs';
import { type AgentConfig, isCommandAgent, isModelAgent, missingVariable } from '../../config/agents.js';
import { checkWorkflows } from '../../config/check.js';
import type { EngineConfig } from '../../config/load.js';
import { redactStoreUrl } from '../../config/store-url.js';
import { ERRORS, type Problem, VaporaError } from '../../core/errors.js';
import { packageVersion } from '../../observe/package-version.js';
import { findAgentProblem } from '../agent-program.js';
import { problemJson } from '../json.js';
import { readConfig, withEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { serverOfStore } from '../target.js';
import { clean, count } from '../text.js';

type Level = 'ok' | 'off' | 'warning' | 'error';

interface Finding {
  readonly subject: string;
  readonly level: Level;
  readonly text: string;
  readonly hint?: string;
  /** Exit code that an error of this kind has. */
  readonly exit?: number;
  readonly problems?: readonly Problem[];
}

export async function doctor(shell: Shell): Promise<number> {
  const findings: Finding[] = versions();
  try {
    const config = await readConfig(shell);
    findings.push(...(await inspect(shell, config)));
  } catch (error) {
    findings.push(failing('config', error));
  }
  const exit = findings.find(({ level }) => level === 'error')?.exit ?? 0;
  const isHealthy = findings.every(({ level }) => level !== 'error');
  shell.json({ healthy: isHealthy, findings: findings.map(findingJson) });
  for (const finding of findings) shell.say(...findingLines(finding, shell));
  const warnings = findings.filter(({ level }) => level === 'warning' || level === 'off').length;
  shell.say(
    '',
    isHealthy
      ? `${shell.colors.green('✓')} healthy, ${count(warnings, 'warning')}`
      : `${shell.colors.red('✗')} not healthy`,
  );
  return exit;
}

function findingJson({ subject, level, text, hint, problems }: Finding): Record<string, unknown> {
  return {
    subject,
    level,
    text,
    ...(hint === undefined ? {} : { hint }),
    ...(problems === undefined ? {} : { problems: problems.map(problemJson) }),
  };
}

function findingLines({ subject, level, text, hint }: Finding, { colors }: Shell): string[] {
  const marks = {
    ok: colors.green('✓'),
    off: colors.yellow('!'),
    warning: colors.yellow('!'),
    error: colors.red('✗'),
  } as const;
  const lines = [`${marks[level]} ${subject.padEnd(10)}  ${clean(text)}`];
  if (hint !== undefined) lines.push(`  ${' '.repeat(10)}  ${colors.dim(clean(hint))}`);
  return lines;
}

/** Errors that are no operating errors are bugs, and not for a list. */
function failing(subject: string, error: unknown): Finding {
  if (!(error instanceof VaporaError)) throw error;
  const { code, message, hint, problems } = error;
  return {
    subject,
    level: 'error',
    text: `${message} (${code})`,
    exit: ERRORS[code].exit,
    problems,
    ...(hint === undefined ? {} : { hint }),
  };
}

function versions(): Finding[] {
  const ok = (subject: string, text: string): Finding => ({ subject, level: 'ok', text });
  const embedded = manifestOf('@surrealdb/node');
  const core = embedded?.surreal === undefined ? '' : `, core ${String(embedded.surreal)}`;
  return [
    ok('vapora', packageVersion()),
    ok('node', `${process.version} on ${process.platform} ${process.arch}`),
    ok(
      'surrealdb',
      `driver ${versionOf('surrealdb')}, embedded engine ${String(embedded?.version ?? 'not installed')}${core}`,
    ),
    ok('cedar', versionOf('@cedar-policy/cedar-wasm', '@cedar-policy/cedar-wasm/nodejs')),
  ];
}

function versionOf(name: string, entry = name): string {
  return String(manifestOf(name, entry)?.version ?? 'not installed');
}

/** The `package.json` of an installed package; packages need not export it, so it is looked for above their entry. */
function manifestOf(name: string, entry = name): Record<string, unknown> | null {
  try {
    const url = import.meta.resolve(entry);
    const root = url.slice(0, url.lastIndexOf(`/node_modules/${name}/`) + `/node_modules/${name}/`.length);
    const manifest: unknown = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
    return typeof manifest === 'object' && manifest !== null ? { ...manifest } : null;
  } catch {
    return null;
  }
}

async function inspect(shell: Shell, config: EngineConfig): Promise<Finding[]> {
  return [
    configFinding(config),
    await policyFinding(config),
    ...(await agentFindings(shell, config)),
    ...offFindings(config),
    ...(await storeFindings(shell, config)),
  ];
}

function configFinding(config: EngineConfig): Finding {
  const problems = checkWorkflows(config);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const text = `${config.file}: ${count(config.templates.size, 'workflow')}, ${count(errors, 'error')}, ${count(problems.length - errors, 'warning')}`;
  const finding = { subject: 'config', text, problems };
  if (errors > 0) return { ...finding, level: 'error', exit: 2, hint: 'see `vapora check`' };
  return problems.length > 0
    ? { ...finding, level: 'warning', hint: 'see `vapora check`' }
    : { ...finding, level: 'ok' };
}

async function policyFinding(config: EngineConfig): Promise<Finding> {
  const directory = config.engine.cedarPolicyDir;
  if (directory === null) {
    return {
      subject: 'policies',
      level: 'off',
      text: 'authorization is off: everything is allowed',
      hint: 'set `cedar_policy_dir` in `[engine]`',
    };
  }
  const { CedarAuthorizer } = await import('../../auth/cedar.js');
  try {
    const authorizer = await CedarAuthorizer.loadFromDir(directory);
    const number = authorizer.describe().length;
    authorizer.close();
    return {
      subject: 'policies',
      level: 'ok',
      text: `${directory}: ${number === 1 ? '1 policy' : `${number} policies`}`,
    };
  } catch (error) {
    return failing('policies', error);
  }
}

async function agentFindings(shell: Shell, config: EngineConfig): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const agent of config.agents) {
    const { env } = shell.host;
    const problem = isCommandAgent(agent) ? await findAgentProblem(agent, env) : missingText(agent, env);
    const text = `${agent.name} (${agent.roles.join(', ')}): ${whatIs(agent)}`;
    findings.push(
      problem === null
        ? { subject: 'agent', level: 'ok', text }
        : { subject: 'agent', level: 'error', text: `${text}: ${problem}`, exit: ERRORS.agent_missing.exit },
    );
  }
  return findings;
}

function whatIs(agent: AgentConfig): string {
  if (isCommandAgent(agent)) return agent.command[0] ?? '';
  return isModelAgent(agent) ? `${agent.model} at ${agent.baseUrl}` : agent.url;
}

function missingText(agent: AgentConfig, env: NodeJS.ProcessEnv): string | null {
  const variable = missingVariable(agent, env);
  return variable === null ? null : `environment variable \`${variable}\` is not set`;
}

function offFindings(config: EngineConfig): Finding[] {
  const findings: Finding[] = [];
  if (!config.engine.approvalGatesEnabled) {
    findings.push({
      subject: 'approvals',
      level: 'off',
      text: 'approval gates are off: no stage waits for a person',
    });
  }
  if (config.engine.store.startsWith('mem:')) {
    findings.push({
      subject: 'durability',
      level: 'off',
      text: 'the store is in memory: nothing outlives the process',
    });
  }
  return findings;
}

/** Instances that are looked at for how many dead letters there are. */
const MAX_LETTERED = 1_000;

/** Opening the engine is the only true test of its store, unless a server holds it, which can be asked. */
async function storeFindings(shell: Shell, config: EngineConfig): Promise<Finding[]> {
  const text = redactStoreUrl(config.engine.store);
  // nothing but the store is to be tested here, and policies that do not compile are a finding already
  const bare = { ...config, agents: [], engine: { ...config.engine, cedarPolicyDir: null } };
  const findings: Finding[] = [];
  try {
    const server = await serverOfStore(shell, config);
    const how =
      server === null
        ? 'opens, not held by another process'
        : `held by the server ${server.url}, which answers`;
    await withEngine(
      shell,
      async ({ api }) => {
        const page = await api.list({ withDeadLetters: true, limit: MAX_LETTERED });
        const letters = page.items.reduce((sum, { deadLetters }) => sum + deadLetters, 0);
        const least = page.next === null ? '' : 'at least ';
        findings.push({ subject: 'store', level: 'ok', text: `${text}: ${how}` });
        if (letters > 0) {
          findings.push({
            subject: 'letters',
            level: 'warning',
            text: `${least}${count(letters, 'dead letter')} for an operator`,
            hint: 'see `vapora dead-letters`',
          });
        }
        return 0;
      },
      server === null ? { config: bare, isSilent: true } : { server },
    );
  } catch (error) {
    findings.push({ subject: 'store', level: 'ok', text }, failing('store', error));
  }
  return findings;
}
