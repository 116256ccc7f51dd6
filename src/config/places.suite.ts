/** Where problems of a text may lie. */
import { expect } from 'vitest';
import type { Problem } from '../core/errors.js';

/** Each problem lies somewhere in the text, at most one behind the end of its line, and is said in one short line. */
export function expectPlaces(text: string, problems: readonly Problem[]): void {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (const { place, message } of problems) {
    expect(place, message).toBeDefined();
    if (place === undefined) continue;
    expect(place.file).toBe('workflows.toml');
    const line = lines[place.line - 1];
    expect(line, `${message} at ${place.line}:${place.column}`).toBeDefined();
    expect(place.column, message).toBeGreaterThanOrEqual(1);
    expect(place.column, message).toBeLessThanOrEqual((line ?? '').length + 1);
    expect(message).toMatch(/^[^\r\n]*[^.\r\n]$/);
    expect(message.length).toBeLessThan(2_000);
  }
}
