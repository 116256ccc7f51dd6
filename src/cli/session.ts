/** An engine opened for one command, and closed whatever happens to it. */
import { isAbsolute, relative, resolve } from 'node:path';
import type { Engine } from '../compose.js';
import type { EngineConfig } from '../config/load.js';
import type { WorkflowApi } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import { Interruption } from './failure.js';
import { withNearest } from './nearest.js';
import type { Shell } from './shell.js';
import { clean } from './text.js';

export interface Session {
  readonly api: WorkflowApi;
  readonly config: EngineConfig;
  /** Wakes everything that is not at an end; answers how many. */
  recover(): Promise<number>;
  /** Names the instance that an interrupt leaves behind. */
  follow(id: string): void;
  /** Calls before an interrupt is reported: whatever is drawn has to be cleared by then. */
  onStop(call: () => void): void;
}

/** The configuration that `--config` names, or the nearest one. Throws `config_not_found`, `config_invalid`. */
export async function readConfig(shell: Shell): Promise<EngineConfig> {
  const { findConfig, loadConfig } = await import('../config/load.js');
  const { cwd, env } = shell.host;
  const file = shell.configFile === undefined ? await findConfig(cwd) : resolve(cwd, shell.configFile);
  if (file === null) {
    throw new VaporaError('config_not_found', `there is no \`workflows.toml\` in \`${cwd}\` or above it`, {
      hint: 'make one with `vapora init`, or name one with `--config FILE`',
    });
  }
  // places in messages read best as the user would write them; the loader resolves them against the process's own directory
  const short = relative(process.cwd(), file);
  return loadConfig(short.startsWith('..') || isAbsolute(short) ? file : short, env);
}

/**
 * Opens the engine, does `work` and closes the engine again. Rejects with what `work` rejects with, with the store's error when it
 * can't go on, or with `engine_stopping` when the user interrupts: then agents have been stopped and the state is kept.
 */
export async function withEngine(
  shell: Shell,
  work: (session: Session) => Promise<number>,
  more: { config?: EngineConfig; logLevel?: string } = {},
): Promise<number> {
  const stops: (() => void)[] = [];
  const followed: string[] = [];
  let interrupt: (error: VaporaError) => void = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  // it may be rejected while nobody waits for it
  interrupted.catch(() => undefined);
  const unsubscribe = shell.host.onInterrupt(() => {
    for (const stop of stops) stop();
    const interruption = new Interruption(followed.at(-1));
    shell.note(clean(interruption.message));
    interrupt(interruption);
  });
  try {
    const config = more.config ?? (await Promise.race([readConfig(shell), interrupted]));
    const engine = await Promise.race([
      openQuietly(shell, config, more.logLevel ?? logLevel(shell)),
      interrupted,
    ]);
    const session: Session = {
      api: engine.api,
      config,
      recover: () => engine.recover(),
      follow: (id) => followed.push(id),
      onStop: (call) => stops.push(call),
    };
    const failed = engine.failed.then((error): never => {
      throw error;
    });
    const working = work(session).catch((error: unknown) => withNearest(error, session));
    // whichever loses the race may still be rejected
    for (const promise of [failed, working]) promise.catch(() => undefined);
    try {
      return await Promise.race([working, failed, interrupted]);
    } finally {
      for (const stop of stops) stop();
      await closeInTime(shell, engine, failed);
    }
  } finally {
    unsubscribe();
  }
}

/** A store that can't go on may not let itself be closed either. */
const CLOSE_AFTER_FAILURE_MS = 3_000;

async function closeInTime(shell: Shell, engine: Engine, failed: Promise<never>): Promise<void> {
  const patience = failed.catch(
    () => new Promise<void>((resolvePatience) => shell.clock.after(CLOSE_AFTER_FAILURE_MS, resolvePatience)),
  );
  await Promise.race([engine.close(), patience]);
}

async function openQuietly(shell: Shell, config: EngineConfig, level: string) {
  const [{ openEngine }, { pino }] = await Promise.all([import('../compose.js'), import('pino')]);
  const logger = pino(
    { level },
    { write: (line) => shell.note(isAsked(shell) ? line.trimEnd() : logWords(line)) },
  );
  return openEngine(config, { logger });
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

/** Whoever sets `VAPORA_LOG` wants the log as it is, one JSON object a line. */
function isAsked({ host }: Shell): boolean {
  return LEVELS.includes(host.env.VAPORA_LOG ?? '');
}

function logLevel(shell: Shell): string {
  return isAsked(shell) ? (shell.host.env.VAPORA_LOG ?? '') : 'warn';
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
