/** Names of files and folders. */
import { posix } from 'node:path';

const CODE = /\.(ts|mts|js|mjs|json|toml|cedar|cedarschema|surql|sh|yml|html|css)$/;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
/** Names that say nothing about what is inside. */
const DRAWERS = new Set([
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'manager',
  'managers',
  'types',
  'misc',
]);

export function nameProblems(paths: readonly string[]): string[] {
  const problems: string[] = [];
  for (const path of paths) {
    const name = posix.basename(path);
    const isWritten = path.startsWith('docs/') || CODE.test(name);
    // by convention, a folder's own page is called so
    if (name === 'README.md') continue;
    if (isWritten && !name.startsWith('.') && !KEBAB.test(name)) problems.push(`${path}: is not kebab-case`);
    const words = path.split(/[/.-]/);
    const drawer = words.find((word) => DRAWERS.has(word));
    if (drawer !== undefined && CODE.test(name))
      problems.push(`${path}: \`${drawer}\` says nothing about its content`);
  }
  return problems;
}
