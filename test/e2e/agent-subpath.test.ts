/** What a program loads that is nothing but an agent: neither the store, nor Cedar, nor the server. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { ROOT } from '../tidy/source.js';

/** Every package and file that the built file loads, directly or through others; also what it loads later. */
function loadedBy(entry: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const queue = [entry];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const { fileName } of ts.preProcessFile(readFileSync(file, 'utf8'), true, true).importedFiles) {
      if (fileName.startsWith('.')) queue.push(join(dirname(file), fileName));
      else packages.add(fileName);
    }
  }
  return { files, packages };
}

it('the subpath for agents loads neither the store, nor Cedar, nor the server', () => {
  const entry = join(ROOT, 'dist/agent/index.js');
  expect(existsSync(entry), 'nothing is built: run `npm run build` first').toBe(true);
  const { files, packages } = loadedBy(entry);
  const folders = new Set([...files].map((file) => file.slice(join(ROOT, 'dist').length + 1).split('/')[0]));
  expect([...folders].toSorted()).toEqual(['agent', 'core', 'engine']);
  expect([...packages].filter((name) => !name.startsWith('node:'))).toEqual(['uuidv7']);
});
