// Writes config/workflows.schema.json from the format's definition. Run it after `npm run build`, when the format has changed.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const { configJsonSchema } = await import(new URL('dist/config/schema.js', root));
const file = fileURLToPath(new URL('config/workflows.schema.json', root));
writeFileSync(file, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
const biome = fileURLToPath(new URL('node_modules/@biomejs/biome/bin/biome', root));
execFileSync(process.execPath, [biome, 'format', '--write', file], {
  cwd: fileURLToPath(root),
  stdio: 'inherit',
});
