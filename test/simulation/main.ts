import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { loadEngine } from './engine-code.js';
import { makeScenario } from './generate.js';
import { checkScenario, runScenario } from './run.js';
import { Coverage } from './coverage.js';

export async function main(argv: string[], { root }: { root: string }): Promise<number> {
  const code = await loadEngine(`${pathToFileURL(join(root, 'dist')).href}/`);
  const [from = 1, count = 1, trace] = argv.map(Number);
  const total = new Coverage();
  const started = performance.now();
  for (let seed = from; seed < from + count; seed += 1) {
    const scenario = makeScenario(seed);
    const result = await (trace ? runScenario(code, scenario, true) : checkScenario(code, scenario));
    if (trace) console.log(result.lines.join('\n'));
    total.merge(result.coverage);
    if (result.violation !== null) {
      console.log(seed, result.violation);
      if (!process.env.ALL) return 1;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  console.log(total.data, (performance.now() - started) / 1000, total.missing(code), total.illegal(code));
  return 0;
}
