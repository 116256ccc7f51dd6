/**
 * What systemd is told: that the server is ready, loads its configuration anew, or stops. Its socket is of a kind that Node can't
 * open, so its own program says it in our name; without it, or without systemd, nothing is said.
 */
import { execFile } from 'node:child_process';
import type { Logger } from 'pino';

const TIMEOUT_MS = 5_000;

export type ManagerState = 'ready' | 'reloading' | 'stopping';

export class ServiceManager {
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: Logger;

  constructor(env: NodeJS.ProcessEnv, log: Logger) {
    this.#env = env;
    this.#log = log;
  }

  /** Resolves once it is told, or can't be. */
  tell(state: ManagerState, status: string): Promise<void> {
    const { NOTIFY_SOCKET, PATH } = this.#env;
    if (NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === '') return Promise.resolve();
    const args = [`--pid=${process.pid}`, `${state.toUpperCase()}=1`, `STATUS=${status}`];
    return new Promise((resolve) => {
      const options = { env: { NOTIFY_SOCKET, PATH }, timeout: TIMEOUT_MS };
      execFile('systemd-notify', args, options, (error) => {
        if (error !== null) this.#log.warn({ err: error, state }, 'systemd could not be told');
        resolve();
      });
    });
  }
}
