/** Each check can fail: it is shown something bad. */
import { describe, expect, it } from 'vitest';
import { escapeProblems, sizeProblems, timeProblems } from './code.js';
import { linkProblems, mentionProblems, referenceProblems, unmappedProblems } from './documents.js';
import { errorDocProblems, unusedCodeProblems } from './errors.js';
import { coreProblems, cycleProblems, layerProblems } from './imports.js';
import { nameProblems } from './names.js';
import { promisedPaths, sourceOf } from './package-file.js';
import { parseSource } from './source.js';

const at = (path: string, text: string) => parseSource(path, text);

describe('the import table', () => {
  it('refuses an import upwards, also of a type, a re-export and a later one', () => {
    for (const text of [
      "import { a } from '../engine/a.js';",
      "import type { A } from '../engine/a.js';",
      "export * from '../engine/a.js';",
      "const a = await import('../engine/a.js');",
      "type A = import('../engine/a.js').A;",
    ]) {
      expect(layerProblems([at('src/store/b.ts', text)]), text).toHaveLength(1);
    }
  });

  it('allows an import downwards, within a layer, and of packages', () => {
    const text = "import '../core/a.js'; import './c.js'; import 'zod';";
    expect(layerProblems([at('src/store/b.ts', text)])).toEqual([]);
  });

  it('refuses files outside the layers and imports of tests', () => {
    expect(layerProblems([at('src/drawer/a.ts', '')])).toHaveLength(1);
    expect(layerProblems([at('src/store/a.ts', "import './a.suite.js';")])).toHaveLength(1);
    expect(layerProblems([at('src/store/a.ts', "import '../../test/a.js';")])).toHaveLength(1);
  });

  it('lets tests put parts together as they need them', () => {
    expect(layerProblems([at('src/core/a.test.ts', "import '../engine/a.js';")])).toEqual([]);
  });

  it('finds circles of values, and none of types', () => {
    const a = at('src/core/a.ts', "import { b } from './b.js';");
    const b = at('src/core/b.ts', "import { c } from './c.js';");
    const value = at('src/core/c.ts', "import { a } from './a.js';");
    expect(cycleProblems([a, b, value])).toHaveLength(1);
    const type = at('src/core/c.ts', "import type { A } from './a.js'; import { type B } from './b.js';");
    expect(cycleProblems([a, b, type])).toEqual([]);
  });

  it('keeps packages and waiting out of the core', () => {
    expect(coreProblems([at('src/core/a.ts', "import { hash } from 'node:crypto';")])).toHaveLength(1);
    expect(coreProblems([at('src/core/a.ts', 'export async function f() { await null; }')])).toHaveLength(1);
    expect(
      coreProblems([at('src/core/a.ts', 'async function f(x) { for await (const y of x); }')]),
    ).toHaveLength(1);
    expect(coreProblems([at('src/core/a.ts', "import './b.js'; // await")])).toEqual([]);
  });
});

describe('the checks of code', () => {
  const escapes = (text: string) => escapeProblems(at('src/core/a.ts', text)).length;

  it('find every way around the type checker', () => {
    expect(escapes('let a: any;')).toBe(1);
    expect(escapes('const a = b as any;')).toBe(1);
    expect(escapes('const a = b!.c;')).toBe(1);
    expect(escapes('class A { b!: string }')).toBe(1);
    expect(escapes(`// @ts-${'ignore'}`)).toBe(1);
    expect(escapes(`// biome-${'ignore'} lint: why`)).toBe(1);
    expect(escapes("const any = 'any'; // any")).toBe(0);
  });

  it('find time and chance', () => {
    const found = (text: string, path = 'src/core/a.ts') => timeProblems(at(path, text)).length;
    for (const text of [
      'Date.now()',
      'const r = Math.random;',
      'setTimeout(f, 1)',
      'globalThis.setInterval(f, 1)',
      'new Date()',
      'new Date',
      "import { setTimeout as wait } from 'node:timers/promises';",
    ]) {
      expect(found(text), text).toBeGreaterThan(0);
      expect(found(text, 'src/engine/clock.ts'), text).toBe(0);
      expect(found(text, 'src/engine/clock.test.ts'), text).toBe(0);
    }
    expect(found('new Date(ms).toISOString()')).toBe(0);
  });

  it('find what is too long', () => {
    const long = (lines: number) => '\n'.repeat(lines);
    expect(sizeProblems(at('a.ts', long(400)))).toEqual([]);
    expect(sizeProblems(at('a.ts', long(401)))).toHaveLength(1);
    expect(sizeProblems(at('a.ts', `function f() {${long(59)}}`))).toEqual([]);
    expect(sizeProblems(at('a.ts', `function f() {${long(60)}}`))).toHaveLength(1);
    expect(sizeProblems(at('a.ts', `const f = () => {${long(60)}}`))).toHaveLength(1);
    expect(sizeProblems(at('a.ts', `class A { f() {${long(60)}} }`))).toHaveLength(1);
    const group = `describe('a', () => {${long(60)}});`;
    expect(sizeProblems(at('a.test.ts', group))).toEqual([]);
    expect(sizeProblems(at('a.ts', group))).toHaveLength(1);
    expect(sizeProblems(at('a.test.ts', `function f() {${long(60)}}`))).toHaveLength(1);
  });

  it('find names that are not kebab-case and names that say nothing', () => {
    expect(nameProblems(['src/core/fooBar.ts', 'src/Core.ts', 'docs/Errors.md'])).toHaveLength(3);
    expect(nameProblems(['src/utils/a.ts', 'src/core/types.ts', 'src/store-helpers.ts'])).toHaveLength(3);
    expect(nameProblems(['src/core/fail-stage.ts', 'README.md', '.ci/run', 'src/a.suite.ts'])).toEqual([]);
  });
});

describe('the checks of documents', () => {
  const table = { gone: { retry: false, exit: 2 } };
  const section = (figures: string) => `### \`gone\`\n\n${figures} **Cause.** A. **What to do.** B.\n`;

  it('hold the error table and its documentation equal', () => {
    expect(errorDocProblems(table, section('Exit code 2, not retryable.'))).toEqual([]);
    expect(errorDocProblems(table, section('Exit code 2, retryable.'))).toHaveLength(1);
    expect(errorDocProblems(table, '')).toHaveLength(1);
    expect(errorDocProblems({}, section('Exit code 2, not retryable.'))).toHaveLength(1);
    expect(errorDocProblems(table, '### `gone`\n\nExit code 2, not retryable.')).toHaveLength(2);
  });

  it('find codes that nothing gives', () => {
    const unused = (text: string) => unusedCodeProblems(table, [at('src/store/a.ts', text)]).length;
    expect(unused("throw new VaporaError('gone', 'x')")).toBe(0);
    expect(unused("const f = { code: isIt ? 'gone' : 'other' };")).toBe(0);
    expect(unused("if (error.code === 'gone') return;")).toBe(1);
    expect(unused("moved(instance, 'gone')")).toBe(1);
  });

  it('find links that lead nowhere', () => {
    const found = (text: string) =>
      linkProblems([{ path: 'docs/a.md', text }], ['docs/a.md', 'src/b.ts']).length;
    expect(found('[b](../src/b.ts) [c](../src) [d](https://example.org) [e](#a-b)\n# A `b`')).toBe(0);
    expect(found('[b](b.md)')).toBe(1);
    expect(found('[b](a.md#nowhere)')).toBe(1);
    expect(found('```\n[b](b.md)\n```')).toBe(0);
  });

  it('find names of files that are not there, and folders that the map leaves out', () => {
    const text = '`src/core/a.ts`, `src/core/`, `src/gone.ts`';
    expect(mentionProblems([{ path: 'a.md', text }], ['src/core/a.ts'])).toHaveLength(1);
    expect(unmappedProblems({ path: 'a.md', text }, ['src/core/a.ts', 'src/store/b.ts'])).toHaveLength(1);
  });

  it('find paths of one machine and numbers of issues', () => {
    const found = (text: string, path = 'docs/a.md') => referenceProblems([{ path, text }]).length;
    for (const text of [
      `see /${'work'}/main`,
      `\`/${'root'}\``,
      `in /${'tmp'}/x`,
      `fixes #${12}`,
      `issue ${12}`,
    ]) {
      expect(found(text), text).toBe(1);
    }
    expect(found('GET /workflows, people.cedar#2, rocksdb:///var/lib')).toBe(0);
    expect(found(`in /${'tmp'}/x`, 'src/a.ts')).toBe(0);
  });
});

describe('the check of the package', () => {
  it('finds everything that is promised, and its source', () => {
    const manifest = {
      bin: { a: './bin/a' },
      exports: { '.': { types: './dist/a.d.ts', default: './dist/a.js' } },
    };
    expect(promisedPaths(manifest)).toEqual(['dist/a.d.ts', 'dist/a.js', 'bin/a']);
    expect(promisedPaths(manifest).map(sourceOf)).toEqual(['src/a.ts', 'src/a.ts', 'bin/a']);
  });
});
