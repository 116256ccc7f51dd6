/** From the text of `workflows.toml` to a validated, deeply frozen configuration. */
import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Problem, VaporaError } from '../core/errors.js';
import type { WorkflowTemplate } from '../core/template.js';
import { type AgentConfig, buildAgents } from './agents.js';
import { emptyTable, originOf, parseDocument, type TableNode } from './document.js';
import { applyEnvironment } from './env.js';
import { deepFreeze } from './freeze.js';
import { Report } from './report.js';
import { unservedMessage, unservedRoles } from './roles.js';
import { documentShape } from './schema.js';
import { buildServer, type ServerSettings } from './server.js';
import { buildSettings, type EngineSettings } from './settings.js';
import { type Sources, sourcesOf } from './sources.js';
import { withStoreCredentials } from './store-url.js';
import { buildTemplates } from './templates.js';
import { quoted } from './text.js';

export const CONFIG_FILE_NAME = 'workflows.toml';
/** Far above any pipeline written by people, and read in a blink. */
export const MAX_CONFIG_BYTES = 1_048_576;

export interface EngineConfig {
  /** Absolute. */
  readonly file: string;
  /** Absolute; what relative paths in the file are relative to. */
  readonly directory: string;
  readonly engine: EngineSettings;
  readonly server: ServerSettings;
  readonly templates: ReadonlyMap<string, WorkflowTemplate>;
  readonly agents: readonly AgentConfig[];
  readonly warnings: readonly Problem[];
  /** Where things stand in the file. */
  readonly sources: Sources;
}

/**
 * Reads a configuration. `env` overrides `[engine]` keys.
 * Throws `config_not_found`, or `config_invalid` with every problem of the file.
 */
export async function loadConfig(file: string, env: NodeJS.ProcessEnv): Promise<EngineConfig> {
  return parseConfig(await readText(file), { file }, env);
}

/** Like {@link loadConfig} for a text at hand; `where.file` need not exist, but places and relative paths refer to it. */
export function parseConfig(text: string, where: { file: string }, env: NodeJS.ProcessEnv): EngineConfig {
  const name = basename(where.file);
  const report = new Report(where.file);
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) throw tooLarge(where.file);
  const written = parseDocument(text, report);
  report.throwIfAny(name);
  const root = applyEnvironment(written ?? emptyTable(null), env);
  return buildConfig(root, where.file, report, env);
}

function buildConfig(root: TableNode, file: string, report: Report, env: NodeJS.ProcessEnv): EngineConfig {
  const row = documentShape.read(root, [], report);
  const absolute = resolve(file);
  const directory = dirname(absolute);
  const engine = buildSettings(row?.engine, directory, root, report);
  const server = buildServer(row?.server, directory, root, report);
  const workflows = row?.workflows ?? [];
  const templates = buildTemplates(workflows, { settings: engine, root, report });
  const agents = buildAgents(row?.agents ?? [], { directory, outbound: engine.outbound, root, report });
  report.throwIfAny(basename(file));
  const sources = sourcesOf(file, root, workflows);
  warnOfOpenGates(workflows, engine, root, report);
  return deepFreeze({
    file: absolute,
    directory,
    engine: { ...engine, store: withStoreCredentials(engine.store, env) },
    server,
    templates,
    agents,
    warnings: [...report.warnings, ...roleWarnings(templates, agents, report, sources)],
    sources,
  });
}

const MAX_NAMED = 10;

function warnOfOpenGates(
  workflows: NonNullable<ReturnType<typeof documentShape.read>>['workflows'],
  engine: EngineSettings,
  root: TableNode,
  report: Report,
): void {
  if (engine.approvalGatesEnabled) return;
  const gated = (workflows ?? []).flatMap((workflow) =>
    (workflow?.stages ?? [])
      .filter((stage) => stage?.approval_required)
      .map((stage) => quoted(`${workflow?.name}/${stage?.name}`)),
  );
  if (gated.length === 0) return;
  const more = gated.length > MAX_NAMED ? ` and ${gated.length - MAX_NAMED} more` : '';
  const path = ['engine', 'approval_gates_enabled'];
  report.warn({
    message: `approval gates are off: ${gated.slice(0, MAX_NAMED).join(', ')}${more} will run without approval`,
    path,
    origin: originOf(root, path),
  });
}

/** Only warnings here: a program may still register agents of its own for these roles. */
function roleWarnings(
  templates: ReadonlyMap<string, WorkflowTemplate>,
  agents: readonly AgentConfig[],
  report: Report,
  sources: Sources,
): Problem[] {
  if (agents.length === 0) return [];
  const served = new Set(agents.flatMap((agent) => agent.roles));
  return unservedRoles(templates.values(), served)
    .slice(0, MAX_ROLE_WARNINGS)
    .map((use) => {
      const hint = report.meant(use.role, served);
      return {
        message: unservedMessage(use),
        severity: 'warning',
        ...sources.stage(use.workflow, use.stage, use.key, use.index),
        ...(hint === undefined ? {} : { hint }),
      };
    });
}

const MAX_ROLE_WARNINGS = 100;

/** The nearest `workflows.toml` in `startDir` or above it; null: there is none. */
export async function findConfig(startDir: string): Promise<string | null> {
  for (let directory = resolve(startDir); ; directory = dirname(directory)) {
    const file = join(directory, CONFIG_FILE_NAME);
    const isThere = await access(file, constants.F_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
    if (dirname(directory) === directory) return null;
  }
}

function tooLarge(file: string): VaporaError {
  return new VaporaError(
    'config_invalid',
    `config file ${quoted(file)} is larger than ${MAX_CONFIG_BYTES} bytes`,
  );
}

async function readText(file: string): Promise<string> {
  if (file.includes('\0')) throw new VaporaError('config_not_found', `there is no file ${quoted(file)}`);
  // Without O_NONBLOCK, opening a named pipe would wait for its writer.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw openingFailed(file, error);
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new VaporaError('config_invalid', `config ${quoted(file)} is not a file`);
    }
    if (stats.size > MAX_CONFIG_BYTES) throw tooLarge(file);
    return new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile());
  } catch (error) {
    if (error instanceof VaporaError) throw error;
    const reason = error instanceof TypeError ? 'is not UTF-8 text' : 'can not be read';
    throw new VaporaError('config_invalid', `config file ${quoted(file)} ${reason}`, { cause: error });
  } finally {
    await handle.close();
  }
}

function openingFailed(file: string, error: unknown): VaporaError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new VaporaError('config_not_found', `there is no file ${quoted(file)}`, {
      hint: 'make one with `vapora init`, or name it with `--config FILE`',
      cause: error,
    });
  }
  const why = typeof code === 'string' ? `: ${code}` : '';
  return new VaporaError('config_invalid', `config file ${quoted(file)} can not be read${why}`, {
    cause: error,
  });
}
