/** The configuration, read anew when its files change or somebody asks for it. */
import { watch } from 'chokidar';
import type { Logger } from 'pino';
import type { Engine } from '../compose.js';
import { type EngineConfig, loadConfig } from '../config/load.js';
import { VaporaError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import type { ReloadReport } from '../http/contract/health.js';
import type { ServiceManager } from './notify.js';

/** An editor writes several files, and each in several steps. */
const QUIET_MS = 300;

export class Reloader {
  readonly #parts: ReloaderParts;
  #config: EngineConfig;
  #last: ReloadReport | null = null;
  #running: Promise<void> = Promise.resolve();
  #cancel: (() => void) | null = null;
  #stopWatching: (() => Promise<void>) | null = null;

  constructor(config: EngineConfig, parts: ReloaderParts) {
    this.#config = config;
    this.#parts = parts;
  }

  /** How the last reload went; null: there was none. */
  get last(): ReloadReport | null {
    return this.#last;
  }

  /** Reloads whenever the configuration file or the policies change. */
  watch(): void {
    const { file, engine } = this.#config;
    const paths = engine.cedarPolicyDir === null ? [file] : [file, engine.cedarPolicyDir];
    const watcher = watch(paths, { ignoreInitial: true, depth: 0 });
    watcher.on('all', () => {
      this.#cancel?.();
      this.#cancel = this.#parts.clock.after(QUIET_MS, () => this.reload());
    });
    watcher.on('error', (error) =>
      this.#parts.log.warn({ err: error }, 'files can not be watched: reload by SIGHUP'),
    );
    this.#stopWatching = () => watcher.close();
  }

  /** Never rejects: what is wrong leaves in force what was, and is said aloud. One after the other. */
  reload(): Promise<void> {
    this.#running = this.#running.then(() => this.#reload());
    return this.#running;
  }

  async close(): Promise<void> {
    this.#cancel?.();
    await this.#stopWatching?.();
    await this.#running;
  }

  async #reload(): Promise<void> {
    const { engine, clock, log, env, manager } = this.#parts;
    const at = new Date(clock.now()).toISOString();
    await manager.tell('reloading', 'reading the configuration');
    try {
      const next = await loadConfig(this.#config.file, env);
      await engine.reload(next);
      const unchanged = restartKeys(this.#config, next);
      if (unchanged.length > 0)
        log.warn({ keys: unchanged }, 'some settings take effect with a restart only');
      this.#config = { ...this.#config, templates: next.templates };
      this.#last = { at, ok: true, error: null };
      log.info({ workflows: next.templates.size, policies: engine.authorizer.policySet }, 'reloaded');
    } catch (error) {
      const told =
        error instanceof VaporaError
          ? error
          : new VaporaError('server_failed', String(error), { cause: error });
      this.#last = { at, ok: false, error: { code: told.code, message: told.message } };
      log.error(
        { err: error, problems: told.problems.slice(0, 10) },
        'the reload is refused: what was in force stays',
      );
    }
    await manager.tell('ready', 'serving');
  }
}

export interface ReloaderParts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly manager: ServiceManager;
}

/** What is read at the start alone, and is another now. */
function restartKeys(before: EngineConfig, after: EngineConfig): string[] {
  const keys = ['engine', 'server', 'agents'] as const;
  return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}
