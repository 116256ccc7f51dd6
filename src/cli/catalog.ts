/** What workflows there are to start, wherever the command works. */
import type { EngineConfig } from '../config/load.js';
import type { HttpWorkflowClient } from '../http/client.js';
import { listTemplates } from '../http/contract/templates.js';

export interface Catalog {
  /** Who defines them, for messages. */
  readonly place: string;
  /** Bytes of an input that are read at most. */
  readonly maxInputBytes: number;
  /** Names of the stages, by workflow. */
  workflows(): Promise<ReadonlyMap<string, readonly string[]>>;
}

export function localCatalog({ file, templates, engine }: EngineConfig): Catalog {
  return {
    place: file,
    maxInputBytes: engine.limits.maxInputBytes,
    workflows: async () =>
      new Map([...templates.values()].map(({ name, stages }) => [name, stages.map((stage) => stage.name)])),
  };
}

/** The largest input that a server can be configured to take; what it does take it says itself. */
const MAX_INPUT_BYTES = 64 * 1_024 * 1_024;

export function serverCatalog({ connection }: HttpWorkflowClient): Catalog {
  return {
    place: `the server ${connection.url}`,
    maxInputBytes: MAX_INPUT_BYTES,
    workflows: async () => {
      const { templates } = await connection.call(listTemplates, {});
      return new Map(templates.map(({ name, stages }) => [name, stages.map((stage) => stage.name)]));
    },
  };
}
