// `npm run simulate -- --seeds N [--seed S] [--trace]`: the built engine in simulated worlds, see docs/simulation.md. This script makes
// what is missing (packages, dist/, the simulation as JavaScript) and starts it.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { checkNode, ensureBuilt, ensureInstalled, root } from './prepare.mjs';

checkNode();
ensureInstalled();
ensureBuilt();

/** In here packages are found, and nothing is checked in. */
const cache = join(root, 'node_modules', '.cache', 'vapora-simulation');
const made = join(cache, `simulation-${process.pid}`);
mkdirSync(made, { recursive: true });
const options = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
for (const file of readdirSync(join(root, 'test', 'simulation'))) {
  if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
  const text = readFileSync(join(root, 'test', 'simulation', file), 'utf8');
  const { outputText } = ts.transpileModule(text, { compilerOptions: options, fileName: file });
  writeFileSync(join(made, `${basename(file, '.ts')}.js`), outputText);
}
writeFileSync(join(made, 'package.json'), '{ "type": "module" }');
const { main } = await import(pathToFileURL(join(made, 'main.js')).href);
const places = { dist: join(root, 'dist'), cases: join(root, 'test', 'simulation', 'cases'), cache, made };
try {
  process.exitCode = await main(process.argv.slice(2), places);
} finally {
  rmSync(made, { recursive: true, force: true });
}
