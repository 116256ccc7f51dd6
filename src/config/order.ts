/** Brings stages into an order in which each stands behind the stages it needs. */
import FlatQueue from 'flatqueue';

export interface Ordered {
  /** Indices in topological order; among those that are ready, the one written first comes first. */
  readonly order: readonly number[];
  /** Indices along each cycle found, first repeated at the end; empty: there is none, and `order` is complete. */
  readonly cycles: readonly (readonly number[])[];
}

/** `needs[i]`: indices that `i` needs. */
export function orderByNeeds(needs: readonly (readonly number[])[]): Ordered {
  const dependents: number[][] = needs.map(() => []);
  const missing = needs.map((of) => of.length);
  for (const [index, of] of needs.entries()) for (const need of of) dependents[need]?.push(index);
  const ready = new FlatQueue<number>();
  for (const [index, count] of missing.entries()) if (count === 0) ready.push(index, index);
  const order: number[] = [];
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    order.push(next);
    for (const dependent of dependents[next] ?? []) {
      const left = (missing[dependent] ?? 0) - 1;
      missing[dependent] = left;
      if (left === 0) ready.push(dependent, dependent);
    }
  }
  return { order, cycles: order.length === needs.length ? [] : cyclesOf(needs, new Set(order)) };
}

/** Each stage that could not be ordered needs another such: following them from anywhere leads into a cycle. */
function cyclesOf(
  needs: readonly (readonly number[])[],
  ordered: ReadonlySet<number>,
): readonly (readonly number[])[] {
  const cycles: number[][] = [];
  const seen = new Set<number>(ordered);
  for (const start of needs.keys()) {
    const walk: number[] = [];
    let at: number | undefined = start;
    while (at !== undefined && !seen.has(at)) {
      seen.add(at);
      walk.push(at);
      at = needs[at]?.find((need) => !ordered.has(need));
    }
    const from = at === undefined ? -1 : walk.indexOf(at);
    if (from !== -1) cycles.push(startingAtLowest(walk.slice(from)));
  }
  return cycles;
}

function startingAtLowest(cycle: readonly number[]): number[] {
  const lowest = cycle.indexOf(Math.min(...cycle));
  const turned = [...cycle.slice(lowest), ...cycle.slice(0, lowest)];
  return [...turned, ...turned.slice(0, 1)];
}
