/** The engine behind an HTTP server, from its opening to its end. */
import type { Logger } from 'pino';
import { type Engine, openEngine } from '../compose.js';
import type { EngineConfig } from '../config/load.js';
import { VaporaError } from '../core/errors.js';
import { systemClock } from '../engine/clock.js';
import type { App } from '../http/context.js';
import { createServer } from '../http/server.js';
import { announceServer } from '../store/surreal/holder.js';
import { contextOf } from './context.js';
import { isLoopback, listen, type ServerAddress } from './listen.js';
import { ServiceManager } from './notify.js';
import { Reloader } from './reload.js';

export interface ServeOptions {
  readonly address: ServerAddress;
  /** Let other machines in though nobody is authenticated. */
  readonly isInsecure: boolean;
  readonly log: Logger;
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface Serving {
  readonly url: string;
  /** Resolves, with why, when the engine can't go on. */
  readonly failed: Promise<VaporaError>;
  /** Resolves with how many instances go on again. */
  readonly recovered: Promise<number>;
  /** Reads the configuration anew. Never rejects. */
  reload(): Promise<void>;
  /**
   * Takes no more requests, answers those under way, lets attempts end for `graceMs`, stops those that have not, and lets go of the
   * store. Idempotent.
   */
  close(graceMs: number): Promise<void>;
}

/**
 * Opens the engine, listens, and recovers while it answers. Throws what `openEngine` and `triggers.start` throw, `usage` for an
 * address that others can reach without authentication, and `server_unreachable`.
 */
export async function serve(config: EngineConfig, options: ServeOptions): Promise<Serving> {
  const { log, address, env } = options;
  refuseOpenDoor(config, options);
  const clock = systemClock();
  const engine = await openEngine(config, {
    logger: log,
    clock,
    env,
    recordsDecisions: true,
    metrics: true,
    remoteAgents: true,
  });
  const manager = new ServiceManager(env, log);
  const reloader = new Reloader(config, { engine, clock, log, env, manager });
  const state = {
    isClosing: false,
    isRecovered: false,
    get lastReload() {
      return reloader.last;
    },
  };
  try {
    const context = await contextOf(config, engine, { ...options, clock, state });
    const app = await createServer({ context, log, version: options.version });
    engine.triggers.start();
    engine.retention.start();
    const url = await listen(app, address);
    await announceServer(config.engine.store, url);
    reloader.watch();
    await manager.tell('ready', `serving at ${url}`);
    const recovered = engine.recover().finally(() => {
      state.isRecovered = true;
    });
    let closing: Promise<void> | null = null;
    const close = (graceMs: number): Promise<void> => {
      state.isClosing = true;
      closing ??= closeAll({ config, app, engine, reloader, manager }, graceMs, log);
      return closing;
    };
    return { url, failed: engine.failed, recovered, reload: () => reloader.reload(), close };
  } catch (error) {
    await reloader.close();
    await engine.close();
    throw error;
  }
}

function refuseOpenDoor(config: EngineConfig, { address, isInsecure, log }: ServeOptions): void {
  if (isLoopback(address.host) || config.server.auth !== null) return;
  if (isInsecure) {
    log.warn({ host: address.host }, 'nobody is authenticated, and other machines can reach the server');
    return;
  }
  throw new VaporaError(
    'usage',
    `\`${address.host}\` can be reached from other machines, and nobody is authenticated`,
    {
      hint: 'add `[server.auth]` to the configuration, or say `--insecure`',
    },
  );
}

async function closeAll(
  parts: { config: EngineConfig; app: App; engine: Engine; reloader: Reloader; manager: ServiceManager },
  graceMs: number,
  log: Logger,
): Promise<void> {
  const { config, app, engine, reloader, manager } = parts;
  await manager.tell('stopping', 'finishing what is under way');
  try {
    await reloader.close();
    await announceServer(config.engine.store, null);
    const [, left] = await Promise.all([app.close(), engine.drain(graceMs)]);
    if (left > 0) log.warn({ attempts: left }, 'attempts are stopped: the next engine takes them up again');
  } finally {
    await engine.close();
  }
}
