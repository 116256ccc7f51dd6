import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { type DocumentNode, parseDocument } from './document.js';
import { parseConfig } from './load.js';
import { Report } from './report.js';
import { configJsonSchema } from './schema.js';

/** The document as the JSON that editors validate. */
function toJson(node: DocumentNode): unknown {
  switch (node.kind) {
    case 'table':
      return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toJson(entry.value)]));
    case 'list':
      return node.items.map(toJson);
    case 'other':
      return { date: node.text };
    default:
      return node.value;
  }
}

const workflow = '[[workflows]]\nname = "w"\n[[workflows.stages]]\nname = "s"\nagents = ["r"]\n';
const valid = [
  '',
  workflow,
  `${workflow}retry = { max_attempts = 1, initial_ms = 0, max_ms = 0, factor = 1, jitter = 0.5 }\nneeds = []\n`,
  `${workflow}timeout = 0.5\nirreversible = true\napproval_required = true\non_approval_timeout = "approve"\n`,
  '[engine]\nstore = "mem://"\non_deny = "compensate"\n[engine.limits]\nmax_stages = 5\n',
  '[[agents]]\nname = "constructor"\nroles = ["__proto__"]\ncommand = ["x", ""]\nenv = { A = "" }\n',
  `${workflow.replace('\n[[', '\ntrigger = "schedule"\nschedule = { cron = "0 2 * * *", input = { a = [1, { b = "c" }] } }\n[[')}`,
  `${workflow.replace('\n[[', '\ntrigger = "webhook"\nwebhook = { secret_env = "SECRET", input = { "a b" = "/c~1d/0", all = "" }, match = { "/e" = "f" } }\n[[')}`,
  `${workflow}[[workflows]]\nname = "v"\ntrigger = "workflow"\nafter = { workflow = "w", states = ["failed"] }\nstages = [{ name = "s", agents = ["r"] }]\n`,
  '[[workflows]]\nname = "Größe.1"\ntrigger = "manual"\n[[workflows.stages]]\nname = "名"\nagents = ["r"]\n',
];
const invalid = [
  'unknown = 1',
  'engine = 1',
  'workflows = {}',
  '[engine]\nmax_parallel_tasks = 0',
  '[engine]\nmax_parallel_tasks = 1.5',
  '[engine]\nworkflow_timeout = 0',
  '[engine]\nworkflow_timeout = "1"',
  '[engine]\nworkflow_timeout = 2026-01-01',
  '[engine]\non_deny = "ignore"',
  '[engine]\ncedar_policy_dir = ""',
  '[engine.limits]\nmax_bytes = 1',
  '[[workflows]]\nname = "w"',
  '[[workflows]]\nname = "w"\nstages = []',
  workflow.replace('"w"', '"a b"'),
  workflow.replace('"w"', '".."'),
  workflow.replace('"w"', `"${'x'.repeat(129)}"`),
  workflow.replace('["r"]', '[]'),
  workflow.replace('["r"]', '[1]'),
  `${workflow}retry = { factor = 0.5 }`,
  `${workflow}compensate_failed = true`,
  workflow.replace('name = "w"', 'name = "w"\ntrigger = "webhook"'),
  workflow.replace('name = "w"', 'name = "w"\ntrigger = "workflow"\nafter = { workflow = "w", states = [] }'),
  workflow.replace('name = "w"', 'name = "w"\ntrigger = "schedule"\nschedule = { cron = "" }'),
  workflow.replace(
    'name = "w"',
    'name = "w"\ntrigger = "schedule"\nschedule = { cron = "* * * * *", input = 1 }',
  ),
  workflow.replace(
    'name = "w"',
    'name = "w"\ntrigger = "webhook"\nwebhook = { secret_env = "S", match = { a = 1 } }',
  ),
  '[[agents]]\nname = "a"\nroles = ["r"]\ncommand = []',
  '[[agents]]\nname = "a"\nroles = ["r"]',
  '[[agents]]\nname = "a"\nroles = ["r"]\nurl = "https://x.example/"',
  '[[agents]]\nname = "a"\nroles = ["r"]\ncommand = ["x"]\nenv = { A = 1 }',
];

describe('configJsonSchema', () => {
  const validate = new Ajv({ strict: true, allErrors: true }).compile(configJsonSchema());
  const validates = (text: string) => {
    const root = parseDocument(text, new Report('workflows.toml'));
    return root !== null && validate(toJson(root));
  };

  it('is what the published file holds', () => {
    const file = new URL('../../config/workflows.schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(configJsonSchema());
  });

  it.each(valid)('accepts what the reader accepts: %j', (text) => {
    expect(validates(text)).toBe(true);
    expect(() => parseConfig(text, { file: 'workflows.toml' }, {})).not.toThrow();
  });

  it.each(invalid)('refuses what the reader refuses: %j', (text) => {
    expect(validates(text)).toBe(false);
    expect(() => parseConfig(text, { file: 'workflows.toml' }, {})).toThrow(/problems? in workflows\.toml/);
  });
});
