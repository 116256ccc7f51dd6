/** docs/configuration.md says what the format's definition says. Write it anew with `npx vitest run test/docs -u`. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENT_OVERRIDES } from '../../src/config/env.js';
import { parseConfig } from '../../src/config/load.js';
import { configJsonSchema } from '../../src/config/schema.js';
import { ROOT, readText } from '../tidy/source.js';
import { environmentTable, keyTables, tableNames, withTables } from './config-tables.js';

const PAGE = 'docs/configuration.md';
const { text } = readText(PAGE);
const tables = new Map([
  ...keyTables(configJsonSchema()),
  ['environment', environmentTable(ENVIRONMENT_OVERRIDES)] as const,
]);

describe('docs/configuration.md', () => {
  it('has every table of the format', () => {
    expect(tableNames(text).sort()).toEqual([...tables.keys()].sort());
  });

  it('lists every key with its type, default and meaning, and every environment variable', async () => {
    await expect(withTables(text, tables)).toMatchFileSnapshot(join(ROOT, PAGE));
  });

  it('shows examples that load', () => {
    const examples = [...text.matchAll(/^```toml\n([\s\S]*?)^```$/gm)].map(([, toml = '']) => toml);
    expect(examples.length).toBeGreaterThan(1);
    for (const example of examples) {
      const config = parseConfig(example, { file: 'workflows.toml' }, {});
      expect(config.templates.size, example).toBeGreaterThan(0);
    }
  });
});
