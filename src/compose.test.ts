import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Engine, openEngine } from './compose.js';
import { parseConfig } from './config/load.js';

let directory: string;
let engine: Engine;

const text = (more: string) => `[engine]
store = "mem://"
cedar_policy_dir = "."
[[workflows]]
name = "release"
stages = [{ name = "build", agents = ["builder"] }]
${more}`;

const HOOK = `trigger = "webhook"
webhook = { secret_env = "HOOK_SECRET" }`;

const configOf = (more: string) => parseConfig(text(more), { file: join(directory, 'workflows.toml') }, {});

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'vapora-compose-'));
  writeFileSync(join(directory, 'a.cedar'), '@id("all") permit(principal, action, resource);');
  engine = await openEngine(configOf(''), { logger: pino({ level: 'silent' }) });
});
afterEach(async () => {
  await engine.close();
  rmSync(directory, { recursive: true });
});

describe('a reload', () => {
  it('takes over policies and templates together', async () => {
    const before = engine.authorizer.policySet;
    writeFileSync(join(directory, 'a.cedar'), '@id("none") forbid(principal, action, resource);');
    await engine.reload(configOf('[[workflows]]\nname = "other"\nstages = [{ name = "a", agents = ["x"] }]'));
    expect(engine.authorizer.policySet).not.toBe(before);
    const started = engine.api.start({ workflow: 'other', initiator: { user: 'ann', groups: [] } });
    await expect(started).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('whose triggers are wrong leaves the policies in force too', async () => {
    const before = engine.authorizer.policySet;
    writeFileSync(join(directory, 'a.cedar'), '@id("none") forbid(principal, action, resource);');
    await expect(engine.reload(configOf(HOOK))).rejects.toMatchObject({ code: 'config_invalid' });
    expect(engine.authorizer.policySet).toBe(before);
  });

  it('whose policies are wrong leaves the templates in force too', async () => {
    writeFileSync(join(directory, 'a.cedar'), 'permit(');
    const next = configOf('[[workflows]]\nname = "other"\nstages = [{ name = "a", agents = ["x"] }]');
    await expect(engine.reload(next)).rejects.toMatchObject({ code: 'policy_invalid' });
    const started = engine.api.start({ workflow: 'other', initiator: { user: 'ann', groups: [] } });
    await expect(started).rejects.toMatchObject({ code: 'workflow_unknown' });
  });
});
