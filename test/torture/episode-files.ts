/** Where an episode keeps what, and what its engine is told. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from './workload.js';

export interface Place {
  readonly directory: string;
  readonly config: string;
  readonly store: string;
  /** Of the agents in the engine's process. */
  readonly ledger: string;
  /** Of those that are commands. */
  readonly commandLedger: string;
  /** What the engine's client was told. */
  readonly notes: string;
}

/** `store`: where the store is to be, if not in the directory. */
export function placeOf(directory: string, store = join(directory, 'store')): Place {
  return {
    directory,
    config: join(directory, 'workflows.toml'),
    store,
    ledger: join(directory, 'ledger'),
    commandLedger: join(directory, 'command-ledger'),
    notes: join(directory, 'notes'),
  };
}

const AGENT = fileURLToPath(new URL('./agent.sh', import.meta.url));
/** Commands at once, of each kind. */
const COMMANDS_AT_ONCE = 3;

/** A directory for an episode, with its configuration. */
export function layOut(directory: string, sagaParallelism: number, store?: string): Place {
  const place = placeOf(directory, store);
  mkdirSync(directory, { recursive: true });
  const agents = Object.entries(COMMANDS).map(
    ([role, [seconds, end]]) => `
[[agents]]
name = "${role}"
roles = ["${role}"]
max_concurrent = ${COMMANDS_AT_ONCE}
command = ["/bin/sh", ${JSON.stringify(AGENT)}, "${seconds}", "${end}"]
env = { LEDGER = ${JSON.stringify(place.commandLedger)} }
`,
  );
  const engine = `[engine]
store = "rocksdb://${place.store}"
max_parallel_tasks = 5000
saga_parallelism = ${sagaParallelism}
`;
  writeFileSync(place.config, `${engine}${agents.join('')}`);
  return place;
}
