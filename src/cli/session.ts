/** What a command works with: an engine opened for it, or a server, and closed whatever happens to it. */
import { isAbsolute, relative, resolve } from 'node:path';
import type { Engine } from '../compose.js';
import type { EngineConfig } from '../config/load.js';
import type { AgentApi, ScheduleApi, WorkflowApi } from '../core/api.js';
import type { PolicyFile, WhatIfApi, WhatIfReport } from '../core/decision-log.js';
import { VaporaError } from '../core/errors.js';
import type { TokenApi } from '../core/identities.js';
import type { Principal } from '../core/instance.js';
import { packageVersion } from '../observe/package-version.js';
import { type Catalog, localCatalog, serverCatalog } from './catalog.js';
import { Interruption } from './failure.js';
import { logLevel, logWriter } from './log.js';
import { withNearest } from './nearest.js';
import type { PersonOptions, Shell } from './shell.js';
import { namedServer, type ServerTarget, serverOfStore } from './target.js';
import { clean } from './text.js';

export interface Session {
  readonly api: WorkflowApi;
  readonly schedules: ScheduleApi;
  readonly agents: AgentApi;
  readonly tokens: TokenApi;
  readonly whatIf: WhatIfApi['whatIf'];
  readonly catalog: Catalog;
  /** The bytes of a backup that begins now. */
  backup(): AsyncIterable<Uint8Array>;
  /** Wakes everything that is not at an end; answers how many. A server has done so by itself. */
  recover(): Promise<number>;
  /** Who acts. Throws `usage` where somebody is named though a token says who it is. */
  person(options: PersonOptions): Principal;
  /** Names the instance that an interrupt leaves behind. */
  follow(id: string): void;
  /** Calls before an interrupt is reported: whatever is drawn has to be cleared by then. */
  onStop(call: () => void): void;
}

/** An engine or a server, for as long as a session lasts. */
interface Backend
  extends Pick<
    Session,
    'api' | 'schedules' | 'agents' | 'tokens' | 'whatIf' | 'catalog' | 'backup' | 'recover' | 'person'
  > {
  /** Instances go on without us. */
  readonly isServer: boolean;
  /** Rejects when it can't go on. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
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
  /** The store of this configuration, and no server. */
  readonly config?: EngineConfig;
  /** This server, and no store. */
  readonly server?: ServerTarget;
  /** Nothing is going to be driven, so nobody has to hear what is off. */
  readonly isReading?: boolean;
  /** Not even what goes wrong is logged: it is what the command reports. */
  readonly isSilent?: boolean;
}

/**
 * Opens the engine, or the way to the server, does `work` and closes it again. Rejects with what `work` rejects with, with the
 * store's error when it can't go on, or with `engine_stopping` when the user interrupts: then agents have been stopped and the state
 * is kept.
 */
export async function withEngine(
  shell: Shell,
  work: (session: Session) => Promise<number>,
  more: SessionOptions = {},
): Promise<number> {
  const stops: (() => void)[] = [];
  const followed: string[] = [];
  let isServer = false;
  let interrupt: (error: VaporaError) => void = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  // it may be rejected while nobody waits for it
  interrupted.catch(() => undefined);
  const unsubscribe = shell.host.onInterrupt(() => {
    for (const stop of stops) stop();
    const interruption = new Interruption(followed.at(-1), isServer);
    shell.note(clean(interruption.message));
    interrupt(interruption);
  });
  try {
    const backend = await Promise.race([openBackend(shell, more), interrupted]);
    isServer = backend.isServer;
    const session: Session = {
      api: backend.api,
      schedules: backend.schedules,
      agents: backend.agents,
      tokens: backend.tokens,
      whatIf: (files, since) => backend.whatIf(files, since),
      catalog: backend.catalog,
      backup: () => backend.backup(),
      recover: () => backend.recover(),
      person: (options) => backend.person(options),
      follow: (id) => followed.push(id),
      onStop: (call) => stops.push(call),
    };
    const working = work(session).catch((error: unknown) => withNearest(error, session));
    // whichever loses the race may still be rejected
    for (const promise of [backend.failed, working]) promise.catch(() => undefined);
    try {
      return await Promise.race([working, backend.failed, interrupted]);
    } finally {
      for (const stop of stops) stop();
      await closeInTime(shell, backend);
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

async function closeInTime(shell: Shell, { failed, close }: Backend): Promise<void> {
  const patience = failed.catch(
    () => new Promise<void>((resolvePatience) => shell.clock.after(CLOSE_AFTER_FAILURE_MS, resolvePatience)),
  );
  await Promise.race([close(), patience]);
}

async function openBackend(shell: Shell, more: SessionOptions): Promise<Backend> {
  if (more.config !== undefined) return openLocally(shell, more.config, more);
  if (more.server !== undefined) return openServer(shell, more.server);
  const named = namedServer(shell);
  if (named !== null) return openServer(shell, named);
  const config = await readConfig(shell);
  const found = await serverOfStore(shell, config);
  return found === null ? openLocally(shell, config, more) : openServer(shell, found);
}

async function openLocally(shell: Shell, config: EngineConfig, more: SessionOptions): Promise<Backend> {
  const [{ openEngine }, { createLogger }, { Tokens }, { compress }, { backupLines }] = await Promise.all([
    import('../compose.js'),
    import('../observe/logger.js'),
    import('../http/tokens.js'),
    import('../backup/file.js'),
    import('../backup/write.js'),
  ]);
  const level = more.isSilent === true ? 'silent' : logLevel(shell.host.env, more.isReading === true);
  const engine = await openEngine(config, { logger: createLogger(level, logWriter(shell)) });
  return {
    isServer: false,
    api: engine.api,
    schedules: engine.triggers.scheduler,
    agents: engine.agents,
    tokens: await Tokens.open(engine.store, shell.clock),
    whatIf: (files, since) => whatIfLocally(engine, files, since),
    catalog: localCatalog(config),
    backup: () => compress(backupLines(engine.store, { at: shell.clock.now(), version: packageVersion() })),
    recover: () => engine.recover(),
    person: (options) => shell.person(options),
    failed: engine.failed.then((error): never => {
      throw error;
    }),
    close: () => engine.close(),
  };
}

async function whatIfLocally(
  { store }: Engine,
  files: readonly PolicyFile[],
  since: number,
): Promise<WhatIfReport> {
  const [{ CedarAuthorizer }, { whatIf }] = await Promise.all([
    import('../auth/cedar.js'),
    import('../auth/what-if.js'),
  ]);
  const candidate = CedarAuthorizer.fromFiles('the candidate', files);
  try {
    return await whatIf(candidate, store, since, async () => {});
  } finally {
    candidate.close();
  }
}

async function openServer(shell: Shell, { url, token }: ServerTarget): Promise<Backend> {
  const { HttpWorkflowClient } = await import('../http/client.js');
  const { clock } = shell;
  const person = shell.person({});
  const api = new HttpWorkflowClient({ url, clock, person, ...(token === undefined ? {} : { token }) });
  return {
    isServer: true,
    api,
    schedules: api,
    agents: api,
    tokens: api,
    whatIf: (files, since) => api.whatIf(files, since),
    catalog: serverCatalog(api),
    backup: () => api.backup(),
    recover: async () => 0,
    person: (options) => {
      if (token !== undefined && (options.by !== undefined || (options.group ?? []).length > 0)) {
        throw new VaporaError('usage', 'the token in `VAPORA_TOKEN` says who acts', {
          hint: 'leave out who it is, and `--group`',
        });
      }
      return shell.person(options);
    },
    failed: new Promise<never>(() => {}),
    close: async () => api.close(),
  };
}
