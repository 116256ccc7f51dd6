import { expect, it } from 'vitest';
import type { EventRecord } from '../core/events.js';
import { asInstanceId } from '../core/names.js';
import { eventJson } from './json.js';

const META = { seq: 3, at: 1_000, workflow_id: asInstanceId('x') } as const;
const AT = { stage: 'a', role: 'r', kind: 'execute', attempt: 1 } as const;

it('prints the keys and times of events like everything else', () => {
  const assignment = { agent: 'g', score: 0.5, successRate: 0.5, load: 0, candidates: 1 };
  const event: EventRecord = {
    ...META,
    type: 'task_dispatched',
    ...AT,
    assignment,
    idempotencyKey: 'k',
    deadlineAt: 2_000,
  };
  expect(eventJson(event)).toEqual({
    seq: 3,
    type: 'task_dispatched',
    at: '1970-01-01T00:00:01.000Z',
    workflow_id: 'x',
    ...AT,
    assignment: { agent: 'g', score: 0.5, success_rate: 0.5, load: 0, candidates: 1 },
    idempotency_key: 'k',
    deadline_at: '1970-01-01T00:00:02.000Z',
  });
});

it('leaves what agents said as they said it', () => {
  const output = { buildNumber: 7, startedAt: 1, nested: [{ camelCase: true }] };
  const event: EventRecord = { ...META, type: 'task_completed', ...AT, artifacts: [], output, log: null };
  expect(eventJson(event)).toMatchObject({ output });
  const step: EventRecord = { ...META, type: 'step_completed', ...AT, name: 's', value: { endedAt: 5 } };
  expect(eventJson(step)).toMatchObject({ value: { endedAt: 5 } });
});
