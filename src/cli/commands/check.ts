/** `vapora check`: everything that is wrong or unlikely to be meant, found before anything runs. */
import type { EngineConfig } from '../../config/load.js';
import { type Problem, VaporaError } from '../../core/errors.js';
import { problemLine } from '../failure.js';
import { problemJson } from '../json.js';
import { readConfig } from '../session.js';
import type { Shell } from '../shell.js';
import { clean, count } from '../text.js';

export async function check(shell: Shell): Promise<number> {
  const { config, problems } = await findProblems(shell);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  shell.json({
    ok: errors === 0,
    config: config?.file ?? null,
    workflows: config === null ? [] : [...config.templates.keys()],
    problems: problems.map(problemJson),
  });
  for (const problem of problems) shell.say(problemLine(problem, shell.colors));
  const warnings = problems.length - errors;
  const found = `${count(errors, 'error')}, ${count(warnings, 'warning')}`;
  const what = config === null ? '' : `${clean(config.file)}: ${count(config.templates.size, 'workflow')}, `;
  const mark = errors === 0 ? shell.colors.green('✓') : shell.colors.red('✗');
  shell.say(`${mark} ${what}${found}`);
  return errors === 0 ? 0 : 2;
}

interface Findings {
  /** Null: it can't be read. */
  readonly config: EngineConfig | null;
  readonly problems: readonly Problem[];
}

/** Problems of configuration and policies. Throws `config_not_found`: then there is nothing to check. */
async function findProblems(shell: Shell): Promise<Findings> {
  const { checkWorkflows } = await import('../../config/check.js');
  try {
    const config = await readConfig(shell);
    const problems = [...checkWorkflows(config), ...(await policyProblems(config))];
    return { config, problems: [...problems].sort((a, b) => rank(a) - rank(b)) };
  } catch (error) {
    if (error instanceof VaporaError && error.code === 'config_invalid') {
      return { config: null, problems: problemsOf(error) };
    }
    throw error;
  }
}

async function policyProblems(config: EngineConfig): Promise<readonly Problem[]> {
  const directory = config.engine.cedarPolicyDir;
  if (directory === null) return [];
  const { CedarAuthorizer } = await import('../../auth/cedar.js');
  try {
    const authorizer = await CedarAuthorizer.loadFromDir(directory);
    const { warnings } = authorizer;
    authorizer.close();
    return warnings;
  } catch (error) {
    if (error instanceof VaporaError && error.code === 'policy_invalid') return problemsOf(error);
    throw error;
  }
}

/** An error without particulars is one problem itself. */
function problemsOf(error: VaporaError): readonly Problem[] {
  if (error.problems.length > 0) return error.problems;
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  return [{ severity: 'error', message: error.message, ...hint }];
}

function rank(problem: Problem): number {
  return problem.severity === 'error' ? 0 : 1;
}
