/** What documents and comments refer to. */
import { posix } from 'node:path';
import type { TextFile } from './source.js';

const LINK = /\]\(([^()\s]+)\)/g;
const FENCE = /^(```|~~~)[\s\S]*?^\1/gm;

/** Relative links that lead nowhere: to no tracked file or folder, or to no heading. */
export function linkProblems(documents: readonly TextFile[], paths: readonly string[]): string[] {
  const known = new Set(paths.flatMap((path) => [path, ...foldersOf(path)]));
  const byPath = new Map(documents.map((document) => [document.path, document]));
  const problems: string[] = [];
  for (const { path, text } of documents) {
    for (const [, link = ''] of text.replace(FENCE, '').matchAll(LINK)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : posix.join(posix.dirname(path), file).replace(/\/$/, '');
      const document = byPath.get(target);
      if (!known.has(target)) problems.push(`${path}: links to \`${link}\`, which does not exist`);
      else if (anchor !== undefined && document !== undefined && !anchorsOf(document.text).has(anchor)) {
        problems.push(`${path}: links to \`${link}\`, which has no such heading`);
      }
    }
  }
  return problems;
}

function foldersOf(path: string): string[] {
  const folder = posix.dirname(path);
  return folder === '.' ? ['.'] : [folder, ...foldersOf(folder)];
}

/** Headings, the way that GitHub names them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replace(FENCE, '').matchAll(/^#{1,6} +(.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Paths that exist on one machine only. */
const MACHINE_PATH = /(?<![\w.:/})~-])\/(?:work|root)(?![\w-])/;
const TEMPORARY_PATH = /(?<![\w.}-])\/tmp\//;
/** A hash and a number is somebody's tracker, and means nothing in a copy of the code. */
const ISSUE_NUMBER = /(?<![\w/&.'"`])#\d+\b|\bissue \d+\b/i;

export function referenceProblems(files: readonly TextFile[]): string[] {
  const problems: string[] = [];
  for (const { path, text } of files) {
    for (const [index, line] of text.split('\n').entries()) {
      const place = `${path}:${index + 1}`;
      if (MACHINE_PATH.test(line)) problems.push(`${place}: names a path of one machine`);
      if (path.endsWith('.md') && TEMPORARY_PATH.test(line))
        problems.push(`${place}: names a temporary path`);
      if (ISSUE_NUMBER.test(line)) problems.push(`${place}: names an issue by number`);
    }
  }
  return problems;
}

const MENTION = /`((?:src|test|docs|scripts|config|bench|examples|bin)\/[\w./-]*)`/g;

/** Paths of the repository that are named in backticks and are not there. */
export function mentionProblems(documents: readonly TextFile[], paths: readonly string[]): string[] {
  const known = new Set(paths.flatMap((path) => [path, ...foldersOf(path)]));
  return documents.flatMap(({ path, text }) =>
    [...text.matchAll(MENTION)]
      .map(([, mention = '']) => mention.replace(/\/$/, ''))
      .filter((mention) => !known.has(mention))
      .map((mention) => `${path}: names \`${mention}\`, which does not exist`),
  );
}

/** Folders of the source that the code map says nothing about. */
export function unmappedProblems(map: TextFile, paths: readonly string[]): string[] {
  const folders = new Set(
    paths.map((path) => /^src\/[^/]+/.exec(path)?.[0]).filter((path) => path !== undefined),
  );
  return [...folders]
    .filter((folder) => !map.text.includes(`\`${folder}`))
    .map((folder) => `${map.path}: says nothing about \`${folder}\``);
}
