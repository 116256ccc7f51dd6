/**
 * Loaded into a process before an engine is opened, it kills the process at a named moment. The engine knows nothing of it: its
 * parts are wrapped from outside, and only in a process that loads this file.
 */
import type { ChildProcess } from 'node:child_process';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { SurrealWorkflowStore } from '../../src/store/surreal/store.js';
import { InProcessTransport } from '../../src/transport/in-process.js';
import { KILL_VARIABLE, type Side, statementOf } from './points.js';

const [, countText = '0', wanted = ''] = /^(\d+) (.+)$/.exec(process.env[KILL_VARIABLE] ?? '') ?? [];
let left = Number(countText);
/** How far the database gets with what is under way. */
const DURING_MAX_MS = 2;

/** The process ends here if this is the moment. */
export function reach(name: string, side: Side): void {
  if (wanted !== `${name} ${side}`) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

/** Of something that goes on in another thread. */
function reachDuring(name: string): void {
  if (wanted !== `${name} during` || left !== 1) return reach(name, 'during');
  const until = performance.now() + Math.random() * DURING_MAX_MS;
  while (performance.now() < until);
  reach(name, 'during');
}

export async function around<T>(name: string, work: () => Promise<T>): Promise<T> {
  reach(name, 'before');
  const working = work();
  reachDuring(name);
  const result = await working;
  reach(name, 'after');
  return result;
}

function watchStore(): void {
  const { over } = SurrealWorkflowStore;
  SurrealWorkflowStore.over = (db, options) => {
    const run: typeof db.run = (statements, values) => {
      const name = statementOf(statements);
      const work = () => db.run(statements, values);
      return name === null ? work() : around(name, work);
    };
    return over.call(SurrealWorkflowStore, { ...db, run }, options);
  };
  const { save } = SurrealWorkflowStore.prototype;
  SurrealWorkflowStore.prototype.save = async function (commit) {
    const types = new Set(commit.events.map(({ type }) => type));
    for (const type of types) reach(`commit of ${type}`, 'before');
    const stored = await save.call(this, commit);
    for (const type of types) reach(`commit of ${type}`, 'after');
    return stored;
  };
}

function watchAgents(): void {
  const { dispatch } = InProcessTransport.prototype;
  InProcessTransport.prototype.dispatch = function (order, sink) {
    reach('dispatch', 'before');
    dispatch.call(this, order, sink);
    reach('dispatch', 'after');
  };
  const builtin = createRequire(import.meta.url)('node:child_process') as {
    spawn(...given: unknown[]): ChildProcess;
  };
  const { spawn } = builtin;
  builtin.spawn = (...given) => {
    reach('spawn', 'before');
    const child = spawn(...given);
    reach('spawn', 'after');
    return child;
  };
  syncBuiltinESMExports();
}

watchStore();
watchAgents();
