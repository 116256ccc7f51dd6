/** What the routes get of a running engine. */
import type { Engine } from '../compose.js';
import type { EngineConfig } from '../config/load.js';
import type { ServerContext } from '../http/context.js';
import { EventHub } from '../http/event-hub.js';
import { Guard } from '../http/guard.js';
import { TrustingIdentifier } from '../http/identity.js';

export interface Surroundings {
  readonly clock: ServerContext['clock'];
  readonly version: string;
  readonly state: { readonly isClosing: boolean; readonly isRecovered: boolean };
}

export function contextOf(config: EngineConfig, engine: Engine, more: Surroundings): ServerContext {
  const { clock, version, state } = more;
  const warnings = engine.authorizer.isEnforcing
    ? []
    : ['authorization is off: no `cedar_policy_dir` is configured, so everything is allowed'];
  return {
    api: engine.api,
    triggers: engine.triggers,
    metrics: engine.metrics,
    clock,
    identifier: new TrustingIdentifier(),
    guard: new Guard(engine.asked),
    authorizer: engine.authorizer,
    hub: new EventHub(engine.api, clock.newId()),
    changedSince: (at) => engine.store.changedSince(at),
    templates: () => config.templates,
    health: () => ({ status: state.isClosing ? 'stopping' : 'ok', version, warnings }),
    ready: () => ({
      ready: !state.isClosing,
      recovery: { state: state.isRecovered ? 'done' : 'running', woken: engine.api.awake },
    }),
  };
}
