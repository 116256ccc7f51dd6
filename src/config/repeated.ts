/** Names that have to be unique in a list. */
import { type DocumentNode, originOf } from './document.js';
import type { Report } from './report.js';
import { type KeyPath, quoted } from './text.js';

/** Reports each name that stands in the list before. */
export function reportRepeated(
  names: readonly (string | undefined)[],
  pathOf: (index: number) => KeyPath,
  say: (quotedName: string) => string,
  root: DocumentNode,
  report: Report,
): void {
  const seen = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    if (name === undefined) continue;
    const first = seen.get(name);
    if (first === undefined) {
      seen.set(name, index);
      continue;
    }
    const path = pathOf(index);
    const before = originOf(root, pathOf(first));
    const hint = before !== null && 'line' in before ? `the first is on line ${before.line}` : undefined;
    report.error({ message: say(quoted(name)), path, origin: originOf(root, path), hint });
  }
}
