/** Whether the program of a command agent can be started. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import type { CommandAgentConfig } from '../config/agents.js';

/** Why it can't, in words; null: it can. */
export async function findAgentProblem(
  agent: Pick<CommandAgentConfig, 'command' | 'cwd' | 'env'>,
  env: NodeJS.ProcessEnv,
): Promise<string | null> {
  const isDirectory = await stat(agent.cwd).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isDirectory) return `its working directory \`${agent.cwd}\` is not there`;
  const program = agent.command[0] ?? '';
  if (isAbsolute(program)) return programProblem(program);
  const path = agent.env.PATH ?? env.PATH ?? '';
  for (const directory of path.split(delimiter)) {
    if (directory !== '' && (await programProblem(join(directory, program))) === null) return null;
  }
  return 'not found in PATH';
}

async function programProblem(file: string): Promise<string | null> {
  const stats = await stat(file).catch(() => null);
  if (stats === null) return 'not there';
  if (!stats.isFile()) return 'not a file';
  return access(file, constants.X_OK).then(
    () => null,
    () => 'not executable',
  );
}
