/** Makes a copy of the compiled engine and of the simulation, with one thing broken in it. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { loadEngine } from './engine-code.js';
import { makeScenario } from './generate.js';
import type { Scenario } from './scenario.js';
import type { Variant } from './variants.js';

export interface Folders {
  /** The compiled engine. */
  readonly dist: string;
  /** The compiled simulation. */
  readonly made: string;
  /** The kept cases. */
  readonly cases: string;
  /** For copies. */
  readonly cache: string;
}

export interface Caught {
  readonly name: string;
  /** `seed 7` or `case x`; where it was not caught, why not. */
  readonly where: string;
  /** What was said; null: it was not caught. */
  readonly violation: string | null;
}

/** Not of the engine that is simulated. */
const LEFT_OUT = /[/\\](cli|http|serve|agent|testing|surreal)$/;

/** Runs the kept cases and then seeds from `from` on, until one catches the variant. */
export async function catchVariant(
  { dist, made, cache, cases }: Folders,
  variant: Variant,
  from: number,
  most: number,
): Promise<Caught> {
  const folder = join(cache, `broken-${process.pid}-${variant.name.replaceAll(' ', '-')}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    cpSync(dist, join(folder, 'dist'), {
      recursive: true,
      filter: (path) => !LEFT_OUT.test(path) && !path.endsWith('.d.ts'),
    });
    cpSync(made, join(folder, 'simulation'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const { name } = variant;
    if (!breakFile(folder, variant))
      return { name, where: 'its text is not found exactly once', violation: null };
    const code = await loadEngine(`${pathToFileURL(join(folder, 'dist')).href}/`);
    const run: typeof import('./run.js') = await import(
      pathToFileURL(join(folder, 'simulation', 'run.js')).href
    );
    for (const [where, scenario] of scenariosOf(cases, from, most)) {
      const { violation } = await run.runScenario(code, scenario, false);
      if (violation !== null) return { name, where, violation };
    }
    return { name, where: `in no case and none of ${most} seeds`, violation: null };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function* scenariosOf(cases: string, from: number, most: number): Generator<[string, Scenario]> {
  for (const file of readdirSync(cases)) yield [`case ${file}`, readCase(cases, file)];
  for (let seed = from; seed < from + most; seed += 1) yield [`seed ${seed}`, makeScenario(seed)];
}

export function readCase(cases: string, file: string): Scenario {
  return JSON.parse(readFileSync(join(cases, file), 'utf8')) as Scenario;
}

/** False: the variant does not fit exactly once. */
function breakFile(folder: string, { file, from, to }: Variant): boolean {
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  const pattern = new RegExp(from.trim().split(/\s+/).map(escaped).join('\\s+'), 'g');
  const count = text.match(pattern)?.length ?? 0;
  if (count !== 1) return false;
  writeFileSync(
    path,
    text.replace(pattern, () => to),
  );
  return true;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
