/** What `package.json` promises. */
type Json = { readonly [key: string]: unknown };

/** Every path that the package's exports and programs lead to. */
export function promisedPaths(manifest: { readonly exports?: unknown; readonly bin?: unknown }): string[] {
  return [...leavesOf(manifest.exports), ...leavesOf(manifest.bin)].map((path) => path.replace(/^\.\//, ''));
}

function leavesOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value as Json).flatMap(leavesOf) : [];
}

/** The source that a built file comes from; others are their own source. */
export function sourceOf(path: string): string {
  const built = /^dist\/(.*?)(\.d\.ts|\.js)$/.exec(path)?.[1];
  return built === undefined ? path : `src/${built}.ts`;
}
