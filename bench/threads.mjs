// Where the processor's time goes by thread: Linux only, in ticks of 10 ms.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const TASKS = '/proc/self/task';
const TICK_MICROS = 10_000;

/** Microseconds that the process has spent in JavaScript, in Node's own threads (garbage, compiler, crypto) and in the database's. */
export function cpuMicros() {
  const spent = { javascript: 0, node: 0, database: 0 };
  if (!existsSync(TASKS))
    return { ...spent, javascript: process.cpuUsage().user + process.cpuUsage().system };
  for (const task of readdirSync(TASKS)) {
    const [, name, rest] = /\((.*)\) (.*)/s.exec(readFileSync(`${TASKS}/${task}/stat`, 'utf8'));
    const fields = rest.split(' ');
    const owner = Number(task) === process.pid ? 'javascript' : name === 'node' ? 'node' : 'database';
    spent[owner] += (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
  }
  return spent;
}

/** What was spent since `before`, for each of so many. */
export function cpuMicrosSince(before, count) {
  const now = cpuMicros();
  return Object.fromEntries(Object.keys(now).map((owner) => [owner, (now[owner] - before[owner]) / count]));
}
