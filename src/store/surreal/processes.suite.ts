/** Runs `child.suite.ts` in processes of its own, compiled, because Node here does not run TypeScript. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const SOURCE = fileURLToPath(new URL('../../', import.meta.url));
const CACHE = join(SOURCE, '../node_modules/.cache');
const FOLDERS = ['core', 'store', 'store/surreal'];

export interface Compiled {
  /** `env` beside the environment of this process. */
  run(command: string, url: string, env?: Readonly<Record<string, string>>): Child;
  remove(): Promise<void>;
}

export interface Child {
  readonly process: ChildProcess;
  /** Lines so far. */
  readonly lines: readonly string[];
  /** Resolves with the first line that begins so; rejects when the process ends before. */
  line(start: string): Promise<string>;
  /** The exit code, or null after a signal. */
  readonly ended: Promise<number | null>;
}

export async function compileChild(): Promise<Compiled> {
  await mkdir(CACHE, { recursive: true });
  const output = await mkdtemp(join(CACHE, 'vapora-store-'));
  await writeFile(join(output, 'package.json'), '{"type":"module"}');
  for (const folder of FOLDERS) {
    await mkdir(join(output, folder), { recursive: true });
    for (const file of await readdir(join(SOURCE, folder))) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
      const text = await readFile(join(SOURCE, folder, file), 'utf8');
      const { outputText } = ts.transpileModule(text, {
        compilerOptions: {
          module: ts.ModuleKind.ESNext,
          target: ts.ScriptTarget.ES2022,
          verbatimModuleSyntax: true,
        },
      });
      await writeFile(join(output, folder, file.replace(/ts$/, 'js')), outputText);
    }
  }
  await cp(join(SOURCE, 'store/surreal/migrations'), join(output, 'store/surreal/migrations'), {
    recursive: true,
  });
  const script = join(output, 'store/surreal/child.suite.js');
  return {
    run: (command, url, env = {}) => startChild(script, [command, url], env),
    remove: () => rm(output, { recursive: true, force: true }),
  };
}

function startChild(script: string, args: readonly string[], env: Readonly<Record<string, string>>): Child {
  const child = spawn(process.execPath, [script, ...args], {
    cwd: dirname(script),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let rest = '';
  let errors = '';
  const waiting = new Set<() => void>();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2_000);
  });
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    for (const look of waiting) look();
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => resolve(code));
  });
  const line = (start: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = lines.find((one) => one.startsWith(start));
        if (found !== undefined) resolve(found);
      };
      waiting.add(look);
      look();
      ended.then((code) =>
        reject(new Error(`ended with ${code} before \`${start}\`: ${lines.slice(-3)} ${errors}`)),
      );
    });
  return { process: child, lines, line, ended };
}
