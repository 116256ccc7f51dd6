/** Candidates that are no policy set, over HTTP: refused with places, and nothing is changed by them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openHttpRig } from './rig.suite.js';

const ALL = '@id("all") permit (principal, action, resource);';
const NO = '@id("no") forbid (principal == User::"mallory", action, resource);';
const since = new Date(0).toISOString();

it.each([
  [
    'a syntax error',
    [{ name: 'b.cedar', text: '// one\n\npermit (principal, action resource);' }],
    'b.cedar',
    3,
    27,
  ],
  [
    'a type error',
    [{ name: 'b.cedar', text: `${ALL}\nforbid (principal, action, resource)\n  when { context.nope };` }],
    'b.cedar',
    3,
    10,
  ],
  ['two policies of one id', [{ name: 'b.cedar', text: `${ALL}\n  ${ALL}` }], 'b.cedar', 2, 3],
  [
    'a bad schema',
    [
      { name: 'b.cedar', text: ALL },
      { name: 'x.cedarschema', text: 'entity Team in [;' },
    ],
    'x.cedarschema',
    1,
    17,
  ],
  [
    'bad entities',
    [
      { name: 'b.cedar', text: ALL },
      { name: 'entities.json', text: '[{"uid": {}}]' },
    ],
    'entities.json',
    1,
    2,
  ],
  ['nothing', [], '', 1, 1],
  ['no policy among the files', [{ name: 'README.md', text: ALL }], '', 1, 1],
])(
  '%s is refused with file, line and column, and what is in force stays',
  async (_, files, file, line, column) => {
    const policies = await mkdtemp(join(tmpdir(), 'vapora-what-if-'));
    onTestFinished(() => rm(policies, { recursive: true, force: true }));
    await writeFile(join(policies, 'all.cedar'), ALL + NO);
    const rig = await openHttpRig({ policies });
    await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'good' }, as: 'mallory' });
    const before = rig.authorizer.policySet;
    const refused = await rig.ask('POST', '/api/v1/policies/what-if', { body: { files, since } });
    expect([refused.status, refused.json.code]).toEqual([422, 'policy_invalid']);
    const place = { file: file === '' ? 'the candidate' : `the candidate/${file}`, line, column };
    expect((refused.json.problems as unknown[])[0]).toMatchObject({ severity: 'error', place });
    expect(rig.authorizer.policySet).toBe(before);
    const denied = await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'good' }, as: 'mallory' });
    expect([denied.status, denied.json.detail]).toEqual([403, expect.stringContaining('`no`')]);
    const good = { files: [{ name: 'all.cedar', text: ALL }], since };
    const compared = await rig.ask('POST', '/api/v1/policies/what-if', { body: good });
    expect([compared.status, compared.json.newly_allowed]).toEqual([200, 2]);
  },
);
