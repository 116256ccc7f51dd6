// Tests of this pipeline: `node test.mjs`. VAPORA says where the program is, if it is not in PATH.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = process.env.VAPORA ?? 'vapora';
const scratch = mkdtempSync(join(tmpdir(), 'pipeline-test-'));
// a store of its own, so that tests leave the real one alone
const env = { ...process.env, VAPORA_STORE: `rocksdb://${join(scratch, 'store')}` };

function vapora(exit, ...args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: import.meta.dirname,
    env,
    encoding: 'utf8',
  });
  if (error) throw error;
  assert.equal(
    status,
    exit,
    `vapora ${args.join(' ')} exited with ${status}, not ${exit}\n${stdout}${stderr}`,
  );
  process.stdout.write(`ok  vapora ${args.join(' ')}\n`);
  return stdout;
}

function policyTest(exit, principal, action, resource, ...more) {
  vapora(
    exit,
    'policy',
    'test',
    '--principal',
    principal,
    '--action',
    action,
    '--resource',
    resource,
    ...more,
  );
}

try {
  vapora(0, 'check');

  policyTest(0, 'User::"olga"', 'approve-stage', 'Stage::"deploy"', '--context', '{"initiator": "ann"}');
  policyTest(3, 'User::"olga"', 'approve-stage', 'Stage::"deploy"', '--context', '{"initiator": "olga"}');
  policyTest(3, 'User::"ann"', 'approve-stage', 'Stage::"deploy"', '--context', '{"initiator": "bob"}');

  const lines = vapora(0, 'run', 'hello', '--input', '{"name": "test"}', '--id', 'hello-1', '--json')
    .trim()
    .split('\n');
  const result = JSON.parse(lines.at(-1));
  assert.equal(result.state, 'completed');
  assert.equal(vapora(0, 'artifacts', 'hello-1', 'greeting'), 'Hello, test!');

  vapora(4, 'run', 'release', '--initiator', 'ann', '--id', 'release-1');
  vapora(3, 'approve', 'release-1', 'deploy', '--by', 'ann');
  vapora(0, 'approve', 'release-1', 'deploy', '--by', 'olga');
  vapora(0, 'audit', 'verify', '--all');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
