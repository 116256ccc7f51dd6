/** What the routes get of a running engine. */
import { backupLines } from '../backup/write.js';
import type { Engine } from '../compose.js';
import type { EngineConfig } from '../config/load.js';
import { OidcVerifier, TokenIdentifier } from '../http/authentication.js';
import type { ServerContext } from '../http/context.js';
import type { HealthReport, ReloadReport } from '../http/contract/health.js';
import { EventHub } from '../http/event-hub.js';
import { Guard } from '../http/guard.js';
import { type Identifier, TrustingIdentifier } from '../http/identity.js';
import { Tokens } from '../http/tokens.js';

export interface ServerState {
  readonly isClosing: boolean;
  readonly isRecovered: boolean;
  readonly lastReload: ReloadReport | null;
}

export interface Surroundings {
  readonly clock: ServerContext['clock'];
  readonly version: string;
  readonly state: ServerState;
  /** Nobody is authenticated, and others can reach the server all the same. */
  readonly isInsecure: boolean;
}

/** Throws `config_invalid` where the issuer's keys can't be read. */
export async function contextOf(
  config: EngineConfig,
  engine: Engine,
  more: Surroundings,
): Promise<ServerContext> {
  const { clock, state } = more;
  const tokens = await Tokens.open(engine.store, clock);
  return {
    api: engine.api,
    triggers: engine.triggers,
    metrics: engine.metrics,
    clock,
    identifier: await openIdentifier(config, tokens, clock),
    guard: new Guard(engine.asked),
    authorizer: engine.authorizer,
    tokens,
    decisions: { book: engine.store, flush: async () => engine.decisions?.flush() },
    hub: new EventHub(engine.api, clock.newId()),
    summary: (id) => engine.api.summary(id),
    changedSince: (at) => engine.store.changedSince(at),
    agents: engine.agents,
    remote: engine.remote,
    callbacks: engine.callbacks,
    limits: config.engine.limits,
    backup: async function* () {
      await engine.decisions?.flush();
      yield* backupLines(engine.store, { at: clock.now(), version: more.version });
    },
    templates: () => engine.templates,
    sharedUse: (template) => engine.api.sharedUse(template),
    health: () => healthOf(config, engine, more),
    ready: () => ({
      ready: !state.isClosing,
      recovery: { state: state.isRecovered ? 'done' : 'running', woken: engine.api.awake },
    }),
  };
}

async function openIdentifier(
  { server }: EngineConfig,
  tokens: Tokens,
  clock: Surroundings['clock'],
): Promise<Identifier> {
  if (server.auth === null) return new TrustingIdentifier();
  const { oidc } = server.auth;
  return new TokenIdentifier(tokens, oidc === null ? null : await OidcVerifier.open(oidc, clock));
}

function healthOf(config: EngineConfig, engine: Engine, more: Surroundings): HealthReport {
  const { state, version, isInsecure } = more;
  const warnings: string[] = [];
  if (!engine.authorizer.isEnforcing) {
    warnings.push('authorization is off: no `cedar_policy_dir` is configured, so everything is allowed');
  }
  if (isInsecure) {
    warnings.push('nobody is authenticated, and other machines can reach the server (`--insecure`)');
  } else if (config.server.auth === null) {
    warnings.push('nobody is authenticated: callers are who they say they are');
  }
  if (state.lastReload?.ok === false) {
    warnings.push('the configuration on disk is refused: an earlier one is in force');
  }
  return {
    status: state.isClosing ? 'stopping' : 'ok',
    version,
    authentication: config.server.auth === null ? 'off' : 'on',
    warnings,
    last_reload: state.lastReload,
  };
}
