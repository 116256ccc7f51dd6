/** Agents over the network that say anything at all: the other half of `src/agent/any-output.test.ts`, which is about commands. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type HttpRig, openHttpRig } from './rig.suite.js';

/** What bodies are made of: right, nearly right, and not at all. */
const ODD = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e308,
    0.5,
    '',
    'x',
    '\u0000',
    '\ud800',
    [],
    {},
    [[]],
    'a'.repeat(20_000),
  ),
  fc.jsonValue(),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
/** More than is allowed here. */
const LARGE = fc.constant('a'.repeat(20_000));
const OWN_KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'name',
  'kind',
  'content',
  'content_base64',
  'digest',
  'log',
  'code',
];
const DIGEST = 'ab'.repeat(32);

const artifact = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ name: 'made', kind: 'code', content: 'text' }) },
  fc.constantFrom<unknown>(
    { name: 'made', kind: 'code', content_base64: 'YQ==' },
    { name: 'made', kind: 'code', content_base64: '*' },
    { name: 'made', kind: 'code', digest: DIGEST },
    { name: '../../made', kind: 'code', content: {} },
  ),
  ODD,
);
const BODIES: Readonly<Record<string, fc.Arbitrary<Record<string, unknown>>>> = {
  heartbeat: fc.constant({}),
  progress: fc.record({ message: fc.constant('half'), fraction: fc.constantFrom(0.5) }),
  steps: fc.record({ name: fc.constantFrom('s', 't'), value: fc.oneof(fc.constant({ n: 1 }), LARGE, ODD) }),
  complete: fc.record({
    artifacts: fc.array(artifact, { maxLength: 3 }),
    output: fc.oneof(fc.constant({ n: 1 }), LARGE, ODD),
    usage: fc.oneof({ weight: 3, arbitrary: fc.constant({ input_tokens: 1, usd: 0.01 }) }, ODD),
  }),
  fail: fc.record({ message: fc.constant('no'), retryable: fc.constant(true) }),
};

/** A body with so many of its fields replaced, left out or added. */
const mutated = (body: fc.Arbitrary<Record<string, unknown>>): fc.Arbitrary<string> =>
  fc
    .tuple(
      body,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...OWN_KEYS), fc.option(ODD)), { maxLength: 2 }),
      fc.option(fc.nat(), { freq: 6 }),
    )
    .map(([start, changes, cutAt]) => {
      let fields = Object.entries(start);
      for (const [index, added, value] of changes) {
        const [key] = fields[index % (fields.length + 1)] ?? [added];
        fields = fields.filter(([other]) => other !== key);
        if (value !== null) fields.push([key, value]);
      }
      const text = `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`;
      return cutAt === null ? text : text.slice(0, cutAt % (text.length + 1));
    });

interface Word {
  readonly word: string;
  readonly body: string;
  readonly type: string;
  /** Null: the lease that the agent has. */
  readonly lease: string | null;
}
const word: fc.Arbitrary<Word> = fc.constantFrom(...Object.keys(BODIES)).chain((name) =>
  fc.record({
    word: fc.constant(name),
    body: fc.oneof(
      { weight: 6, arbitrary: mutated(BODIES[name] ?? fc.constant({})) },
      ODD.map((value) => JSON.stringify(value)),
      fc.string({ unit: 'binary', maxLength: 60 }),
    ),
    type: fc.oneof(
      { weight: 8, arbitrary: fc.constant('application/json') },
      fc.constantFrom(
        'text/plain',
        'application/octet-stream',
        'application/json; charset=utf-16',
        'multipart/form-data',
      ),
    ),
    lease: fc.oneof(
      { weight: 8, arbitrary: fc.constant(null) },
      fc.constantFrom('aaaaaaaaaaaaaaaaaaaaaa', '..', '%00', '%ff', 'x'.repeat(5_000)),
    ),
  }),
);

interface Held {
  readonly lease: string;
  readonly workflow_id: string;
}

async function poll(rig: HttpRig, session: string): Promise<Held | undefined> {
  const { json } = await rig.ask('POST', `/api/v1/agents/${session}/poll`, { body: { wait: 1 } });
  return (json.tasks as Held[])[0];
}

async function stateOf(rig: HttpRig, id: string): Promise<string> {
  return String((await rig.ask('GET', `/api/v1/instances/${id}`)).json.state);
}

/** Says it all of the task that the agent has got, and answers how often a result was taken. */
async function sayAll(
  rig: HttpRig,
  words: readonly Word[],
  held: Held,
): Promise<{ completed: number; failed: number }> {
  const taken = { completed: 0, failed: 0 };
  for (const { word: name, body, type, lease } of words) {
    const path = `/api/v1/tasks/${lease ?? held.lease}/${name}`;
    const { status, json, text } = await rig.ask('POST', path, { body, headers: { 'content-type': type } });
    expect(status, text).toBeLessThan(500);
    if (status >= 400) expect(json.code, text).toMatch(/^[a-z_]+$/);
    expect(text).not.toMatch(/\bat .*:\d+:\d+|\[object |ERR_[A-Z]|ZodError/);
    if (status === 200 && name === 'complete') taken.completed += 1;
    if ((status === 200 && name === 'fail') || (name === 'complete' && json.code === 'agent_protocol'))
      taken.failed += 1;
  }
  return taken;
}

it('an agent may say anything: it is taken or refused in words, and a task ends once, as was said', async () => {
  const config = '[engine.limits]\nmax_output_bytes = 1024';
  const rig = await openHttpRig({ config, limits: { requestsPerMinute: 1_000_000 } });
  const registration = await rig.ask('POST', '/api/v1/agents', {
    body: { name: 'far-away', roles: ['far'] },
  });
  const session = String(registration.json.session);
  await fc.assert(
    fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 6 }), async (words) => {
      const begun = await rig.ask('POST', '/api/v1/instances', { body: { workflow: 'far', input: {} } });
      const id = String(begun.json.workflow_id);
      const held = await poll(rig, session);
      expect(held?.workflow_id).toBe(id);
      if (held === undefined) return;
      const taken = await sayAll(rig, words, held);
      if (taken.completed + taken.failed === 0) {
        // nothing of it was an end: the lease is still good for one
        const ended = await rig.ask('POST', `/api/v1/tasks/${held.lease}/complete`, { body: {} });
        expect(ended.status).toBe(200);
      }
      // a failure that may be tried again is tried again
      for (let next = await stateOf(rig, id); next === 'active'; next = await stateOf(rig, id)) {
        const again = await poll(rig, session);
        if (again !== undefined) await rig.ask('POST', `/api/v1/tasks/${again.lease}/complete`, { body: {} });
      }
      const { json } = await rig.ask('GET', `/api/v1/instances/${id}/events`);
      const types = (json.events as { type: string }[]).map(({ type }) => type);
      const count = (type: string) => types.filter((found) => found === type).length;
      expect(count('task_completed')).toBe((await stateOf(rig, id)) === 'completed' ? 1 : 0);
      if (taken.completed > 0) expect(count('task_failed')).toBe(0);
      expect((await rig.api.verifyAudit(id)).broken).toBeNull();
    }),
    { numRuns: 100 },
  );
}, 120_000);
