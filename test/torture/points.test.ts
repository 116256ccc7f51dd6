import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { defineAgent } from '../../src/agent/agent.js';
import { openEngine } from '../../src/compose.js';
import { defineWorkflow } from '../../src/config/define.js';
import { parseConfig } from '../../src/config/load.js';
import { SurrealWorkflowStore } from '../../src/store/surreal/store.js';
import { STATEMENTS, type Statement, statementOf } from './points.js';

const directory = mkdtempSync(join(tmpdir(), 'vapora-points-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it('every kind of statement that a process can be killed at is one that the store makes', async () => {
  const seen = new Set<Statement>();
  const { over } = SurrealWorkflowStore;
  SurrealWorkflowStore.over = (db, options) => {
    const run: typeof db.run = (statements, values) => {
      const name = statementOf(statements);
      if (name !== null) seen.add(name);
      return db.run(statements, values);
    };
    return over.call(SurrealWorkflowStore, { ...db, run }, options);
  };
  try {
    const config = parseConfig(
      '[engine]\nstore = "mem://"\n',
      { file: join(directory, 'workflows.toml') },
      {},
    );
    const content = 'x'.repeat(10_000);
    const execute = () => ({ artifacts: [{ name: 'result', kind: 'code', content }] });
    const agents = [defineAgent({ name: 'a', roles: ['a'], execute })];
    const workflows = [defineWorkflow({ name: 'w', stages: [{ name: 'one', agents: ['a'] }] })];
    const engine = await openEngine(config, { agents, workflows });
    const { id } = await engine.api.start({ workflow: 'w', initiator: { user: 'u', groups: [] } });
    await engine.api.untilRest(id);
    await engine.close();
  } finally {
    SurrealWorkflowStore.over = over;
  }
  expect([...seen].sort()).toEqual(Object.keys(STATEMENTS).sort());
});
