// Policy sets of ever more policies, most of which have nothing to do with the question.
import { CedarAuthorizer } from '../../dist/index.js';
import { executeStage } from '../requests.mjs';
import { costOf } from './fit.mjs';

export const curve = {
  name: 'policies',
  x: 'policies',
  series: {
    decision: 'a decision that is not remembered',
    remembered: 'the same question again',
    load: 'checking the set when it is loaded',
  },
  dominant:
    'A decision that is not remembered looks at every policy, as Cedar keeps no index of them; loading is the validator, policy by policy.',
  sizes: [10, 30, 100, 300, 1_000, 2_000],
  quick: [2, 8],
};

/** A few in a file, as people write them. */
const PER_FILE = 50;

export async function* measure(sizes, effort) {
  for (const size of sizes) {
    const files = [];
    for (let first = 0; first < size; first += PER_FILE) {
      const some = Array.from({ length: Math.min(PER_FILE, size - first) }, (_, at) => policy(first + at));
      files.push({ name: `p${first}.cedar`, text: some.join('\n') });
    }
    const authorizer = CedarAuthorizer.fromFiles('policies', files);
    const questions = Math.max(5, Math.ceil((2_000 / size) * effort));
    const ask = (prefix) => () => {
      for (let at = 0; at < questions; at += 1) authorizer.authorize(executeStage({}, `${prefix}-${at}`));
    };
    await ask('warm')();
    const decision = await costOf(5, questions, (at) => ask(`i${at}`)());
    const remembered = await costOf(5, 1_000, () => {
      for (let at = 0; at < 1_000; at += 1) authorizer.authorize(executeStage({}));
    });
    authorizer.close();
    const load = await costOf(3, 1, () => CedarAuthorizer.fromFiles('policies', files).close());
    yield { x: size, decision, remembered, load };
  }
}

function policy(at) {
  if (at === 0) {
    return 'permit(principal == Orchestrator::"vapora-orchestrator", action == Action::"execute-stage", resource);';
  }
  const effect = at % 5 === 0 ? 'forbid' : 'permit';
  return `${effect}(principal in Group::"g${at}", action in [Action::"approve-stage", Action::"reject-stage"], resource in Workflow::"w${at}")
when { context.labels.contains("team=t${at}") };`;
}
