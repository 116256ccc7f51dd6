/** The built engine under test: that of `dist/`, or a copy of it with something broken on purpose. */

export interface EngineCode {
  readonly orchestrator: typeof import('../../src/engine/orchestrator.js');
  readonly chain: typeof import('../../src/store/chain.js');
  readonly commitRules: typeof import('../../src/store/commit-rules.js');
  readonly memory: typeof import('../../src/store/memory.js');
  readonly errors: typeof import('../../src/core/errors.js');
  readonly deadlines: typeof import('../../src/core/deadlines.js');
  readonly evolve: typeof import('../../src/core/evolve.js');
  readonly instance: typeof import('../../src/core/instance.js');
  readonly cedar: typeof import('../../src/auth/cedar.js');
}

/** `folder`: URL of the compiled code, with a slash at its end. */
export async function loadEngine(folder: string): Promise<EngineCode> {
  const load = <T>(path: string): Promise<T> => import(new URL(path, folder).href) as Promise<T>;
  return {
    orchestrator: await load('engine/orchestrator.js'),
    chain: await load('store/chain.js'),
    commitRules: await load('store/commit-rules.js'),
    memory: await load('store/memory.js'),
    errors: await load('core/errors.js'),
    deadlines: await load('core/deadlines.js'),
    evolve: await load('core/evolve.js'),
    instance: await load('core/instance.js'),
    cedar: await load('auth/cedar.js'),
  };
}
