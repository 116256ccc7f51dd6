/** The engine behind an HTTP server, from its opening to its end. */
import type { Logger } from 'pino';
import { type Engine, openEngine } from '../compose.js';
import type { EngineConfig } from '../config/load.js';
import type { VaporaError } from '../core/errors.js';
import { systemClock } from '../engine/clock.js';
import type { App } from '../http/context.js';
import { createServer } from '../http/server.js';
import { announceServer } from '../store/surreal/holder.js';
import { contextOf } from './context.js';
import { listen, type ServerAddress } from './listen.js';

export interface ServeOptions {
  readonly address: ServerAddress;
  readonly log: Logger;
  readonly version: string;
}

export interface Serving {
  readonly url: string;
  /** Resolves, with why, when the engine can't go on. */
  readonly failed: Promise<VaporaError>;
  /** Resolves with how many instances go on again. */
  readonly recovered: Promise<number>;
  /** Takes no more requests, answers those under way, stops agents, and lets go of the store. Idempotent. */
  close(): Promise<void>;
}

/** Opens the engine, listens, and recovers while it answers. Throws what `openEngine` and `triggers.start` throw, and `server_unreachable`. */
export async function serve(config: EngineConfig, options: ServeOptions): Promise<Serving> {
  const { log, address, version } = options;
  const clock = systemClock();
  const engine = await openEngine(config, { logger: log, clock, metrics: true });
  try {
    const state = { isClosing: false, isRecovered: false };
    const context = contextOf(config, engine, { clock, version, state });
    const app = await createServer({ context, log, version });
    engine.triggers.start();
    const url = await listen(app, address);
    await announceServer(config.engine.store, url);
    const recovered = engine.recover().finally(() => {
      state.isRecovered = true;
    });
    let closing: Promise<void> | null = null;
    const close = (): Promise<void> => {
      state.isClosing = true;
      closing ??= announceServer(config.engine.store, null).finally(() => closeAll(app, engine));
      return closing;
    };
    return { url, failed: engine.failed, recovered, close };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

async function closeAll(app: App, engine: Engine): Promise<void> {
  try {
    await app.close();
  } finally {
    await engine.close();
  }
}
