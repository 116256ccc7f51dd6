/** Roles `example-tester` and `syntax-tester`: the code is run, in a process of its own. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { agent, contentsOf } from './task.mjs';

const run = promisify(execFile);

/** Writes the code where it can be run: the engine gives each attempt a directory and removes it afterwards. */
async function codeFile(task) {
  const [code] = contentsOf(task, 'code');
  const file = join(process.env.VAPORA_WORKDIR, 'code.mjs');
  await writeFile(file, code);
  return file;
}

await agent({
  async 'example-tester'(task) {
    const { name, examples } = task.input;
    const file = await codeFile(task);
    const given = JSON.stringify(examples.map(([value]) => value));
    const program = `import(${JSON.stringify(file)}).then((m) => console.log(JSON.stringify(${given}.map((v) => m[${JSON.stringify(name)}](v)))))`;
    const { stdout } = await run(process.execPath, ['--eval', program], { timeout: 10_000 });
    for (const [index, found] of JSON.parse(stdout).entries()) {
      const [value, wanted] = examples[index];
      if (JSON.stringify(found) === JSON.stringify(wanted)) continue;
      throw new Error(
        `${name}(${JSON.stringify(value)}) is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`,
      );
    }
    return [
      {
        name: 'examples',
        kind: 'test_results',
        content: `${examples.length} of ${examples.length} examples pass`,
      },
    ];
  },

  async 'syntax-tester'(task) {
    await run(process.execPath, ['--check', await codeFile(task)]);
    return [{ name: 'syntax', kind: 'test_results', content: 'the code is valid' }];
  },
});
