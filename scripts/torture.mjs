// `npm run torture`: real engines, real disks, real kills. `--help` says what can be asked for; docs/torture.md explains it.
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { checkNode, ensureBuilt, ensureInstalled, root } from './prepare.mjs';

checkNode();
ensureInstalled();
ensureBuilt();
const compiled = compile();
const child = spawn(process.execPath, [join(compiled, 'main.js'), ...process.argv.slice(2)], {
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.once('close', (code) => process.exit(code ?? 1));

/** The tool is TypeScript and runs against what was built: its imports from `src/` become imports from `dist/`. */
function compile() {
  const from = join(root, 'test', 'torture');
  const to = join(root, 'node_modules', '.cache', 'torture');
  mkdirSync(to, { recursive: true });
  writeFileSync(join(to, 'package.json'), '{ "type": "module" }\n');
  const dist = pathToFileURL(join(root, 'dist')).href;
  for (const name of readdirSync(from)) {
    const text = readFileSync(join(from, name), 'utf8');
    if (/\.(test|suite)\.ts$/.test(name) || !/\.(ts|sh)$/.test(name)) continue;
    if (name.endsWith('.sh')) put(join(to, name), text);
    else put(join(to, name.replace(/\.ts$/, '.js')), transpile(text).replaceAll("'../../src/", `'${dist}/`));
  }
  return to;
}

function transpile(text) {
  const compilerOptions = { target: 'ES2023', module: 'ESNext', verbatimModuleSyntax: true };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

/** Two runs may begin at the same time. */
function put(path, text) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, path);
}
