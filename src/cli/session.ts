/** An engine opened for one command, and closed whatever happens to it. */
import { isAbsolute, relative, resolve } from 'node:path';
import type { Engine } from '../compose.js';
import type { EngineConfig } from '../config/load.js';
import type { ScheduleApi, WorkflowApi } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import { Interruption } from './failure.js';
import { logLevel, logWriter } from './log.js';
import { withNearest } from './nearest.js';
import type { Shell } from './shell.js';
import { clean } from './text.js';

export interface Session {
  readonly api: WorkflowApi;
  readonly schedules: ScheduleApi;
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
  return loadConfig(short === '' || short.startsWith('..') || isAbsolute(short) ? file : short, env);
}

export interface SessionOptions {
  readonly config?: EngineConfig;
  /** Nothing is going to be driven, so nobody has to hear what is off. */
  readonly isReading?: boolean;
  /** Not even what goes wrong is logged: it is what the command reports. */
  readonly isSilent?: boolean;
}

/**
 * Opens the engine, does `work` and closes the engine again. Rejects with what `work` rejects with, with the store's error when it
 * can't go on, or with `engine_stopping` when the user interrupts: then agents have been stopped and the state is kept.
 */
export async function withEngine(
  shell: Shell,
  work: (session: Session) => Promise<number>,
  more: SessionOptions = {},
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
    const engine = await Promise.race([openQuietly(shell, config, more), interrupted]);
    const session: Session = {
      api: engine.api,
      schedules: engine.triggers.scheduler,
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

/** Like {@link withEngine} for commands that only look at what is there. */
export function readEngine(shell: Shell, work: (session: Session) => Promise<number>): Promise<number> {
  return withEngine(shell, work, { isReading: true });
}

/** A store that can't go on may not let itself be closed either. */
const CLOSE_AFTER_FAILURE_MS = 3_000;

async function closeInTime(shell: Shell, engine: Engine, failed: Promise<never>): Promise<void> {
  const patience = failed.catch(
    () => new Promise<void>((resolvePatience) => shell.clock.after(CLOSE_AFTER_FAILURE_MS, resolvePatience)),
  );
  await Promise.race([engine.close(), patience]);
}

async function openQuietly(shell: Shell, config: EngineConfig, more: SessionOptions): Promise<Engine> {
  const [{ openEngine }, { pino }] = await Promise.all([import('../compose.js'), import('pino')]);
  const level = more.isSilent === true ? 'silent' : logLevel(shell.host.env, more.isReading === true);
  return openEngine(config, { logger: pino({ level }, logWriter(shell)) });
}
