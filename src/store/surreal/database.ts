/** The database as the store uses it: statements in, rows out, one error. */
import type { Surreal } from 'surrealdb';
import { tellingError } from './fault.js';

/** Rows of one statement. */
export type Rows = readonly unknown[];

export interface Database {
  /** For messages: `at <path>`, `in memory`, `on <address>`; without credentials. */
  readonly place: string;
  /** In this process: an answer can't be lost on its way, so an error is the engine's own. */
  readonly isEmbedded: boolean;
  /** The newest fence of each partition that this connection has handed out: the whole truth where the engine is embedded. */
  readonly fences: Map<string, number>;
  /** Runs statements and answers their results; throws the error of the statement that failed, if any. Values are always bound. */
  run(statements: string, values?: Record<string, unknown>): Promise<readonly unknown[]>;
  /** Hands the connection back. A file engine keeps its directory until the process ends, see `openDatabase`. */
  close(): Promise<void>;
}

export function databaseOf(
  surreal: Surreal,
  place: string,
  more: Pick<Database, 'isEmbedded' | 'close'>,
): Database {
  return {
    ...more,
    place,
    fences: new Map(),
    async run(statements, values = {}) {
      const responses = await surreal.query(statements, values).responses();
      const errors = responses.flatMap((response) => (response.success ? [] : [response.error]));
      const error = tellingError(errors);
      if (error !== undefined) throw error;
      return responses.map((response) => (response.success ? response.result : undefined));
    },
  };
}
