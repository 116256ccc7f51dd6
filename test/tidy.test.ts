/** The house rules, checked by machine. STYLE.md says them in words. No rule has a list of exceptions. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../src/core/errors.js';
import { escapeProblems, sizeProblems, timeProblems } from './tidy/code.js';
import { linkProblems, mentionProblems, referenceProblems, unmappedProblems } from './tidy/documents.js';
import { errorDocProblems, unusedCodeProblems } from './tidy/errors.js';
import { coreProblems, cycleProblems, layerProblems } from './tidy/imports.js';
import { nameProblems } from './tidy/names.js';
import { promisedPaths, sourceOf } from './tidy/package-file.js';
import { parseSource, ROOT, readText, trackedPaths } from './tidy/source.js';

const paths = trackedPaths();
const sources = paths
  .filter((path) => /\.(ts|mjs)$/.test(path))
  .map((path) => parseSource(path, readText(path).text));
const documents = paths.filter((path) => path.endsWith('.md')).map(readText);
const texts = paths.filter((path) => /\.(ts|mjs|md|toml|cedar|surql|json)$/.test(path)).map(readText);

describe('the source', () => {
  it('is all there', () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(paths).toContain('src/core/errors.ts');
  });

  it('imports downwards only', () => {
    expect(layerProblems(sources)).toEqual([]);
  });

  it('has no circle of value imports', () => {
    expect(cycleProblems(sources)).toEqual([]);
  });

  it('has a core that knows no package and never waits', () => {
    expect(coreProblems(sources)).toEqual([]);
  });

  it('goes around no check', () => {
    expect(sources.flatMap(escapeProblems)).toEqual([]);
  });

  it('asks for time and chance in one place', () => {
    expect(sources.flatMap(timeProblems)).toEqual([]);
  });

  it('keeps files and functions small', () => {
    expect(sources.flatMap(sizeProblems)).toEqual([]);
  });

  it('names its files for what is in them', () => {
    expect(nameProblems(paths)).toEqual([]);
  });
});

describe('the table of errors', () => {
  it('is what docs/errors.md explains', () => {
    expect(errorDocProblems(ERRORS, readText('docs/errors.md').text)).toEqual([]);
  });

  it('has no code that nothing gives', () => {
    expect(unusedCodeProblems(ERRORS, sources)).toEqual([]);
  });
});

describe('the documents', () => {
  it('link to what exists', () => {
    expect(linkProblems(documents, paths)).toEqual([]);
  });

  it('name files that exist', () => {
    expect(mentionProblems(documents, paths)).toEqual([]);
  });

  it('have a code map of every folder, short enough to be read', () => {
    const map = readText('ARCHITECTURE.md');
    expect(unmappedProblems(map, paths)).toEqual([]);
    expect(map.text.split('\n').length).toBeLessThanOrEqual(300);
  });

  it('name no machine and no tracker, and neither does the code', () => {
    expect(referenceProblems(texts)).toEqual([]);
  });
});

describe('the package', () => {
  const promised = promisedPaths(JSON.parse(readText('package.json').text));

  it('promises files that have a source', () => {
    expect(promised.length).toBeGreaterThan(5);
    expect(promised.filter((path) => !existsSync(join(ROOT, sourceOf(path))))).toEqual([]);
  });

  it('promises files that the build makes', () => {
    expect(existsSync(join(ROOT, 'dist')), 'nothing is built: run `npm run build` first').toBe(true);
    expect(promised.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
