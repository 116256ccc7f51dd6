/** What metrics ask the engine for when somebody scrapes them. */

/** What is only known when somebody looks. */
export interface MetricSources {
  readonly queue: () => { readonly tasks: number; readonly oldestMs: number; readonly inFlight: number };
  readonly agents: () => readonly {
    readonly name: string;
    readonly capacity: number;
    readonly inFlight: number;
    readonly successRate: number;
  }[];
  readonly store: () => {
    readonly commits: number;
    readonly journalRows: number;
    readonly journalBytes: number;
  };
  /** Of workflows whose instances share a budget: the share of it that is used, of the amount that it is highest of. */
  readonly shared: () => readonly { readonly workflow: string; readonly ratio: number }[];
}
