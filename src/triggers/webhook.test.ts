import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sign } from '../auth/signature.js';
import { defineWorkflow } from '../config/define.js';
import type { WorkflowDefinition } from '../config/schema.js';
import { startOf } from './webhook.js';

const SECRET = 'a secret of the test';
const NOW = 1_700_000_000_000;
const BODY = { ref: 'refs/heads/main', release: { 'a/b': ['v1', { n: 2 }] }, draft: false };

type Keys = Partial<NonNullable<WorkflowDefinition['webhook']>>;

function triggerOf(keys: Keys) {
  const { trigger } = defineWorkflow({
    name: 'release',
    trigger: 'webhook',
    webhook: { secret_env: 'SECRET', ...keys },
    stages: [{ name: 's', agents: ['r'] }],
  });
  if (trigger === 'manual' || trigger.kind !== 'webhook') throw new Error('a webhook');
  return trigger;
}

function deliver(keys: Keys, body: unknown = BODY, id = 'msg_1', maxBytes = 10_000) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const delivery = { headers: { ...sign(SECRET, id, NOW, bytes) }, body: bytes };
  return startOf('release', triggerOf(keys), SECRET, delivery, { now: NOW, maxBytes });
}

describe('a delivery', () => {
  it('is a start with the body as its input', () => {
    expect(deliver({})).toEqual({
      workflow: 'release',
      id: expect.stringMatching(/^release\.hook-/),
      input: BODY,
      initiator: { user: 'webhook:release', groups: [] },
      labels: { delivery: 'msg_1' },
    });
  });

  it('starts the same again under the same id, whatever else it holds', () => {
    expect(deliver({}, BODY, 'x')?.id).toBe(deliver({}, { other: 1 }, 'x')?.id);
    expect(deliver({}, BODY, 'y')?.id).not.toBe(deliver({}, BODY, 'x')?.id);
  });

  it('is mapped to the input by JSON Pointers', () => {
    const input = { tag: '/release/a~1b/0', n: '/release/a~1b/1/n', all: '' };
    expect(deliver({ input })?.input).toEqual({ tag: 'v1', n: 2, all: BODY });
  });

  it.each([
    '/nothing',
    '/release/a~1b/2',
    '/release/a~1b/00',
    '/release/a~1b/length',
    '/__proto__',
    '/ref/0',
  ])('is refused where there is nothing at %s', (pointer) => {
    expect(() => deliver({ input: { x: pointer } })).toThrow(`nothing at \`${pointer}\``);
  });

  it('starts something only if it matches', () => {
    expect(deliver({ match: { '/ref': 'refs/heads/main', '/draft': 'false' } })).not.toBeNull();
    expect(deliver({ match: { '/ref': 'refs/heads/dev' } })).toBeNull();
    expect(deliver({ match: { '/gone': 'x' } })).toBeNull();
  });

  it.each(['', 'no JSON', '[1,'])('is refused where its body is no JSON: %j', (body) => {
    expect(() => deliver({}, body)).toThrow(expect.objectContaining({ code: 'input_invalid' }));
  });

  it('is refused where its body is too large', () => {
    expect(() => deliver({}, BODY, 'x', 20)).toThrow(expect.objectContaining({ code: 'input_too_large' }));
  });

  it('is refused before anything else where its signature does not hold', () => {
    const delivery = { headers: {}, body: Buffer.from('no JSON') };
    expect(() => startOf('release', triggerOf({}), SECRET, delivery, { now: NOW, maxBytes: 1 })).toThrow(
      expect.objectContaining({ code: 'signature_invalid' }),
    );
  });

  it('of GitHub is told apart by its content: an id that is not signed says nothing', () => {
    const trigger = triggerOf({ scheme: 'github' });
    const send = (text: string, id: string) => {
      const body = Buffer.from(text);
      const mac = createHmac('sha256', SECRET).update(body).digest('hex');
      const headers = { 'x-hub-signature-256': `sha256=${mac}`, 'x-github-delivery': id };
      return startOf('release', trigger, SECRET, { headers, body }, { now: NOW, maxBytes: 100 })?.id;
    };
    expect(send('{"a":1}', '1')).toBe(send('{"a":1}', '2'));
    expect(send('{"a":1}', '1')).not.toBe(send('{"a":2}', '1'));
  });
});
