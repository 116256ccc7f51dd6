/** What a store has written since it was opened. Characters are those of the texts handed to the engine. */
export interface StoreStatistics {
  /** Changes of instances that were acknowledged. */
  commits: number;
  /** Group commits: one row, one transaction each. */
  journalRows: number;
  journalBytes: number;
  /** Transactions that wrote instances' rows and histories out. */
  projections: number;
  projectedRows: number;
  projectedBytes: number;
  /** Instances created. */
  instances: number;
}

export function noStatistics(): StoreStatistics {
  return {
    commits: 0,
    journalRows: 0,
    journalBytes: 0,
    projections: 0,
    projectedRows: 0,
    projectedBytes: 0,
    instances: 0,
  };
}
