/** The example of docs/testing.md is run as it stands there. */
import { join } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { ROOT, readText } from '../tidy/source.js';

const MODULES: Readonly<Record<string, () => Promise<object>>> = {
  'node:assert/strict': () => import('node:assert/strict'),
  'vapora-workflow-engine': () => import('../../src/index.js'),
  'vapora-workflow-engine/testing': () => import('../../src/testing/index.js'),
};

async function load(name: string): Promise<object> {
  const module = MODULES[name];
  if (module === undefined) throw new Error(`the example imports \`${name}\`, which the test does not know`);
  return module();
}

it('runs the example', async () => {
  const [, block] = /```ts\n([\s\S]*?)```/.exec(readText('docs/testing.md').text) ?? [];
  expect(block).toBeDefined();
  // the body of a function, which can wait but not import
  const body = (block ?? '').replaceAll(/^import (\{.*\}) from ('.*');$/gm, 'const $1 = await load($2);');
  expect(body).not.toMatch(/^import/m);
  const { outputText } = ts.transpileModule(body, { compilerOptions: { target: ts.ScriptTarget.ESNext } });
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor;
  await new AsyncFunction('load', outputText)(load);
});

it('compiles the example', () => {
  const [, block = ''] = /```ts\n([\s\S]*?)```/.exec(readText('docs/testing.md').text) ?? [];
  const name = join(ROOT, 'test', 'docs', 'example-of-testing.ts');
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    paths: {
      'vapora-workflow-engine': [join(ROOT, 'src/index.ts')],
      'vapora-workflow-engine/testing': [join(ROOT, 'src/testing/index.ts')],
    },
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (file, version) =>
    file === name ? ts.createSourceFile(file, block, version) : read(file, version);
  const exists = host.fileExists.bind(host);
  host.fileExists = (file) => file === name || exists(file);
  const program = ts.createProgram([name], options, host);
  const problems = ts.getPreEmitDiagnostics(program, program.getSourceFile(name));
  expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
});
