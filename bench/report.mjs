// The figures of `bench/main.mjs` as people read them.
import Table from 'cli-table3';

export function print(figures) {
  const { machine, runs, scenarios, commit, authorization, recovery, waiting, cli } = figures;
  const lines = [`${machine}, medians of ${runs} runs`];
  if (scenarios) lines.push(tableOf(scenarios));
  const alone = scenarios?.find((row) => row.workflow === 'seq3' && row.inFlight === 1);
  if (alone && commit) {
    const times = (alone.p50 / commit.ms).toFixed(1);
    lines.push(
      `one seq3 alone: p50 ${alone.p50.toFixed(2)} ms, the time of ${times} single-row commits (${commit.ms.toFixed(2)} ms each)`,
    );
  }
  if (authorization) {
    const { rememberedMicros, notRememberedMicros } = authorization;
    lines.push(
      `authorization: ${rememberedMicros.toFixed(1)} µs remembered, ${notRememberedMicros.toFixed(0)} µs not remembered`,
    );
  }
  for (const { age, count, ms, firstMs, recoveredMs, openedMs } of recovery ?? []) {
    const which = age === 'fresh' ? 'that had all just been started' : 'that were there for a while';
    lines.push(
      `recovery: ${count} active instances ${which} are recovered ${recoveredMs.toFixed(0)} ms after opening began, and with their agents again after ${ms.toFixed(0)} ms (first after ${firstMs.toFixed(0)} ms, store open after ${openedMs.toFixed(0)} ms)`,
    );
  }
  if (waiting) {
    const { count, ms, memoryMb, peakMemoryMb } = waiting;
    lines.push(
      `waiting: ${count} instances that wait for an approval, opened after ${ms.toFixed(0)} ms, process at ${memoryMb.toFixed(0)} MB (peak ${peakMemoryMb.toFixed(0)} MB)`,
    );
  }
  if (cli) {
    const { instances, helpMs, listMs, listStateMs } = cli;
    lines.push(
      `command line: --help ${helpMs.toFixed(0)} ms; on ${instances} instances list ${listMs.toFixed(0)} ms, list --state ${listStateMs.toFixed(0)} ms`,
    );
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}

function tableOf(scenarios) {
  const columns = {
    scenario: ({ workflow }) => workflow,
    'in flight': ({ inFlight }) => inFlight,
    'workflows/s': ({ perSecond }) => perSecond.toFixed(0),
    'p50 ms': ({ p50 }) => p50.toFixed(2),
    'p99 ms': ({ p99 }) => p99.toFixed(2),
    'started p50 ms': ({ startedP50 }) => startedP50.toFixed(2),
    'floor/s': ({ floorPerSecond }) => floorPerSecond.toFixed(0),
    ratio: ({ ratio }) => ratio.toFixed(2),
    'commits/wf': ({ written, workflows }) => (written.commits / workflows).toFixed(2),
    'CPU µs/wf': ({ cpuMicros }) =>
      Object.values(cpuMicros)
        .reduce((sum, part) => sum + part, 0)
        .toFixed(0),
    'MB peak': ({ peakMemoryMb }) => peakMemoryMb.toFixed(0),
    'B disk/wf': ({ diskBytesPerWorkflow }) => diskBytesPerWorkflow.toFixed(0),
  };
  const [, ...figures] = Object.keys(columns);
  const table = new Table({
    style: { head: [], border: [] },
    head: Object.keys(columns),
    colAligns: ['left', ...figures.map(() => 'right')],
  });
  for (const row of scenarios) table.push(Object.values(columns).map((cell) => cell(row)));
  return table.toString();
}
