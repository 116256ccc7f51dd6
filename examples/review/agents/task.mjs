/** What the agents of this example share: the task on stdin, one result on stdout, artifacts by name. */
import { text } from 'node:stream/consumers';

/** Runs the function of the task's role. What it throws fails the stage for good. */
export async function agent(roles) {
  const task = JSON.parse(await text(process.stdin));
  try {
    process.stdout.write(`${JSON.stringify({ artifacts: await roles[task.role](task) })}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

export function contentOf(task, name) {
  return task.artifacts.find((artifact) => artifact.name === name).content;
}

export function contentsOf(task, kind) {
  return task.artifacts.filter((artifact) => artifact.kind === kind).map((artifact) => artifact.content);
}
