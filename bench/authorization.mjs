// What one decision of the policies costs, in microseconds: once asked before, and asked for the first time. Prints one JSON line.
import { fileURLToPath } from 'node:url';
import { CedarAuthorizer } from '../dist/index.js';
import { executeStage } from './requests.mjs';
import { median } from './workload.mjs';

const POLICIES = fileURLToPath(new URL('../examples/deploy/policies', import.meta.url));
const authorizer = await CedarAuthorizer.loadFromDir(POLICIES);

/** Median of rounds, each of so many questions. */
function measure(rounds, questions, initiatorOf) {
  const micros = [];
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now();
    for (let n = 0; n < questions; n += 1) {
      const number = round * questions + n;
      const initiator = { user: initiatorOf(number), groups: ['developers'] };
      authorizer.authorize(executeStage({ instance: `instance-${number}`, initiator }));
    }
    micros.push(((performance.now() - began) / questions) * 1_000);
  }
  return median(micros);
}

measure(20, 100, (n) => `warm-up-${n}`);
const notRememberedMicros = measure(30, 100, (n) => `person-${n}`);
const rememberedMicros = measure(30, 1_000, () => 'ann');
process.stdout.write(`${JSON.stringify({ rememberedMicros, notRememberedMicros })}\n`);
authorizer.close();
