/** Whether something an agent gave is JSON, and its encoding. */

/** Deeper values are refused: many readers of JSON recurse. */
export const MAX_JSON_DEPTH = 100;

/**
 * The JSON text of `value`, or why there is none. Strict about what JSON would silently change (dates, maps, NaN, functions), except
 * that properties with the value `undefined` are left out.
 */
export function encodeJson(value: unknown): { readonly text: string } | { readonly problem: string } {
  try {
    const problem = problemIn(value, '', 0);
    if (problem !== null) return { problem };
    return { text: JSON.stringify(value) };
  } catch {
    // a getter or a proxy of the agent's threw
    return { problem: "it can't be read" };
  }
}

function problemIn(value: unknown, path: string, depth: number): string | null {
  const place = path === '' ? 'it' : `\`${path.slice(1)}\``;
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return null;
    case 'number':
      return Number.isFinite(value) ? null : `${place} is ${value}`;
    case 'object':
      break;
    default:
      return `${place} is ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}`;
  }
  if (value === null) return null;
  if (depth >= MAX_JSON_DEPTH) return `it is nested more than ${MAX_JSON_DEPTH} deep`;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const problem = problemIn(value[index], `${path}.${index}`, depth + 1);
      if (problem !== null) return problem;
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  // plain objects only; those of another realm have a prototype that is itself plain
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    return `${place} is an object of a class`;
  }
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const problem = problemIn(item, `${path}.${key.slice(0, 100)}`, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}
