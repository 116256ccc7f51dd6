/** Where the parts of a configuration were written, for problems found after it was read. */
import type { Place } from '../core/errors.js';
import { type DocumentNode, originOf } from './document.js';
import { placeOf } from './report.js';
import type { WorkflowRow } from './schema.js';
import { formatPath, type KeyPath } from './text.js';

/** Spread it into a `Problem`. Empty for what was not written in a configuration, e.g. a template defined in a program. */
export interface Source {
  readonly path?: string;
  readonly place?: Place;
}

export interface Sources {
  /** An `[engine]` key, or the table. */
  engine(...key: KeyPath): Source;
  workflow(name: string): Source;
  /** A stage, or something in it, e.g. `'agents', 0`. */
  stage(workflow: string, stage: string, ...rest: KeyPath): Source;
}

export function sourcesOf(
  file: string,
  root: DocumentNode,
  workflows: readonly (WorkflowRow | undefined)[],
): Sources {
  const indices = new Map<string, { index: number; stages: ReadonlyMap<string, number> }>();
  for (const [index, row] of workflows.entries()) {
    if (row === undefined) continue;
    const stages = row.stages.map((stage, at) => [stage?.name ?? '', at] as const);
    indices.set(row.name, { index, stages: new Map(stages) });
  }
  const sourceOf = (path: KeyPath): Source => {
    const place = placeOf(file, originOf(root, path));
    return { path: formatPath(path), ...(place === undefined ? {} : { place }) };
  };
  return Object.freeze({
    engine: (...key: KeyPath) => sourceOf(['engine', ...key]),
    workflow(name: string) {
      const found = indices.get(name);
      return found === undefined ? {} : sourceOf(['workflows', found.index]);
    },
    stage(workflow: string, stage: string, ...rest: KeyPath) {
      const found = indices.get(workflow);
      const at = found?.stages.get(stage);
      if (found === undefined || at === undefined) return {};
      return sourceOf(['workflows', found.index, 'stages', at, ...rest]);
    },
  });
}
