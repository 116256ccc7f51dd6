import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { AllowAllAuthorizer } from '../auth/allow-all.js';
import { defineWorkflow } from '../config/define.js';
import type { WorkflowDefinition } from '../config/schema.js';
import type { WorkflowApi } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import type { Authorizer, TriggerBook } from '../core/ports.js';
import { MemoryWorkflowStore } from '../store/memory.js';
import { TestClock } from '../testing/test-clock.js';
import { openTestEngine, type TestEngine } from '../testing/test-engine.js';
import { Scheduler } from './scheduler.js';

const MINUTE = 60_000;
const START = Date.parse('2026-05-01T12:00:30Z');
const ANN = { user: 'ann', groups: [] };

type Keys = Partial<NonNullable<WorkflowDefinition['schedule']>>;

function minutely(keys: Keys = {}) {
  return defineWorkflow({
    name: 'tidy',
    trigger: 'schedule',
    schedule: { cron: '* * * * *', ...keys },
    stages: [{ name: 'sweep', agents: ['sweeper'] }],
  });
}

/** An engine whose agent works until it is told to end, with a scheduler that can be opened anew over the same marks. */
class Bench {
  readonly clock = new TestClock(START);
  readonly book: TriggerBook = new MemoryWorkflowStore();
  readonly ends: (() => void)[] = [];
  isQuick = true;
  engine: TestEngine | null = null;
  scheduler: Scheduler | null = null;

  async open(keys: Keys = {}, more: Partial<{ authorizer: Authorizer; start: WorkflowApi['start'] }> = {}) {
    const agent = defineAgent({
      name: 'sweeper',
      roles: ['sweeper'],
      maxConcurrent: 100,
      execute: async () => {
        if (!this.isQuick) await new Promise<void>((resolve) => this.ends.push(resolve));
        return {};
      },
    });
    const workflows = [minutely(keys)];
    this.engine ??= await openTestEngine({ workflows, agents: [agent], clock: this.clock });
    const { api } = this.engine;
    this.scheduler = new Scheduler(
      {
        api: {
          start: more.start ?? ((request) => api.start(request)),
          get: (id) => api.get(id),
          subscribe: (listener) => api.subscribe(listener),
        },
        book: this.book,
        clock: this.clock,
        log: pino({ level: 'silent' }),
        authorizer: more.authorizer ?? new AllowAllAuthorizer(),
      },
      new Map(workflows.map((workflow) => [workflow.name, workflow])),
    );
    this.scheduler.start();
    await this.clock.advance(0);
    return this.scheduler;
  }

  async down(ms: number): Promise<void> {
    await this.scheduler?.close();
    await this.clock.advance(ms);
  }

  /** Minutes past twelve of the instances that there are, in order. */
  async started(): Promise<string[]> {
    await this.clock.advance(0);
    const { items } = (await this.engine?.api.list({ limit: 1_000 })) ?? { items: [] };
    return items.map(({ labels }) => labels.scheduled?.slice(14, 19) ?? '').sort();
  }
}

let bench = new Bench();
afterEach(async () => {
  bench.isQuick = true;
  for (const end of bench.ends) end();
  await bench.scheduler?.close();
  await bench.engine?.close();
  bench = new Bench();
});

describe('a schedule', () => {
  it('starts an instance for each of its times, with its input and in its name', async () => {
    await bench.open({ input: { keep: 3 }, groups: ['robots'] });
    await bench.clock.advance(3 * MINUTE);
    expect(await bench.started()).toEqual(['01:00', '02:00', '03:00']);
    const instance = await bench.engine?.api.get('tidy.20260501T120100Z');
    expect(instance).toMatchObject({
      status: 'completed',
      initiator: { user: 'schedule:tidy', groups: ['robots'] },
      input: { inline: '{"keep":3}' },
    });
  });

  it('begins when it is first seen, and anew when it has become another one', async () => {
    await bench.open();
    expect(await bench.scheduler?.schedules()).toMatchObject([{ nextAt: START + 0.5 * MINUTE, last: null }]);
    await bench.down(5 * MINUTE);
    await bench.open({ cron: '*/2 * * * *', catch_up: 'all' });
    await bench.clock.advance(MINUTE);
    expect(await bench.started()).toEqual(['06:00']);
  });

  it('makes up for what passed while it was down: once, for each, or not at all', async () => {
    for (const [rule, expected] of [
      ['latest', ['05:00']],
      ['all', ['01:00', '02:00', '03:00', '04:00', '05:00']],
      ['skip', ['05:00']],
    ] as const) {
      await bench.open({ catch_up: rule });
      // the last one is on time for everybody
      await bench.down(5 * MINUTE);
      await bench.open({ catch_up: rule });
      expect(await bench.started(), rule).toEqual(expected);
      await bench.down(0);
      await bench.engine?.close();
      bench = new Bench();
    }
    await bench.open({ cron: '*/10 * * * *', catch_up: 'skip' });
    await bench.down(12 * MINUTE);
    await bench.open({ cron: '*/10 * * * *', catch_up: 'skip' });
    expect(await bench.started()).toEqual([]);
    expect((await bench.scheduler?.schedules())?.[0]?.last).toMatchObject({ outcome: 'skipped' });
  });

  it('starts no second instance while the first goes on', async () => {
    bench.isQuick = false;
    await bench.open();
    await bench.clock.advance(3 * MINUTE);
    expect(await bench.started()).toEqual(['01:00']);
    expect((await bench.scheduler?.schedules())?.[0]?.last).toMatchObject({
      outcome: 'skipped',
      reason: '`tidy.20260501T120100Z` has not ended',
    });
    bench.ends.shift()?.();
    await bench.clock.advance(MINUTE);
    expect(await bench.started()).toEqual(['01:00', '04:00']);
  });

  it('waits for the end of the first where it is told to, and starts at once then', async () => {
    bench.isQuick = false;
    await bench.open({ overlap: 'wait' });
    await bench.clock.advance(3 * MINUTE + 10_000);
    expect(await bench.started()).toEqual(['01:00']);
    bench.ends.shift()?.();
    expect(await bench.started()).toEqual(['01:00', '03:00']);
  });

  it('starts side by side where it is told to', async () => {
    bench.isQuick = false;
    await bench.open({ overlap: 'allow' });
    await bench.clock.advance(3 * MINUTE);
    expect(await bench.started()).toEqual(['01:00', '02:00', '03:00']);
  });
});

/** The engine starts the instance of 01:00, dies, is down for so long, and is opened again. */
async function dieBeforeTheNote(downMs: number): Promise<void> {
  bench.isQuick = false;
  const { saveMark } = bench.book;
  await bench.open();
  // the second mark of a start is the one that says it is done
  bench.book.saveMark = async (mark) => {
    if (mark.last !== null) throw new Error('killed');
    await saveMark.call(bench.book, mark);
  };
  await bench.clock.advance(0.5 * MINUTE);
  expect(await bench.started()).toEqual(['01:00']);
  await bench.down(downMs);
  bench.book.saveMark = saveMark;
  await bench.open();
}

describe('a schedule whose engine dies', () => {
  it('between the start and the note about it starts nothing twice', async () => {
    await dieBeforeTheNote(0);
    expect(await bench.started()).toEqual(['01:00']);
    expect((await bench.scheduler?.schedules())?.[0]?.last).toMatchObject({
      outcome: 'started',
      reason: null,
    });
  });

  it('there and is down over the next time knows that the first still goes on', async () => {
    await dieBeforeTheNote(2 * MINUTE);
    expect(await bench.started()).toEqual(['01:00']);
    expect((await bench.scheduler?.schedules())?.[0]?.last).toMatchObject({ outcome: 'skipped' });
  });

  it('before the start, but after the note about it, starts it', async () => {
    const killed = async () => {
      throw new VaporaError('store_failed', 'killed');
    };
    await bench.open({}, { start: killed });
    await bench.clock.advance(0.5 * MINUTE);
    await bench.down(0);
    expect(await bench.started()).toEqual([]);
    await bench.open();
    expect(await bench.started()).toEqual(['01:00']);
  });
});

describe('a start that is refused', () => {
  it('for the moment is tried again', async () => {
    let tries = 0;
    await bench.open(
      {},
      {
        start: (request) => {
          tries += 1;
          if (tries < 3) throw new VaporaError('engine_overloaded', 'full');
          const { engine } = bench;
          if (engine === null) throw new Error('an engine');
          return engine.api.start(request);
        },
      },
    );
    await bench.clock.advance(0.5 * MINUTE + 4_000);
    expect(await bench.started()).toEqual([]);
    await bench.clock.advance(10_000);
    expect(await bench.started()).toEqual(['01:00']);
  });

  it('for good is over, and the next one is asked for again', async () => {
    await bench.open(
      {},
      {
        start: async () => {
          throw new VaporaError('unauthorized', 'forbidden by `night`');
        },
      },
    );
    await bench.clock.advance(2 * MINUTE);
    expect((await bench.scheduler?.schedules())?.[0]?.last).toEqual({
      at: Date.parse('2026-05-01T12:02:00Z'),
      outcome: 'refused',
      reason: 'forbidden by `night`',
    });
  });

  it('because the input has changed since is a start all the same', async () => {
    await bench.open();
    await bench.engine?.api.start({
      workflow: 'tidy',
      id: 'tidy.20260501T120100Z',
      input: { a: 1 },
      initiator: ANN,
    });
    await bench.clock.advance(MINUTE);
    expect((await bench.scheduler?.schedules())?.[0]?.last).toMatchObject({ outcome: 'started' });
  });
});

describe('an operator', () => {
  it('pauses a schedule over restarts; what passes meanwhile is over', async () => {
    await bench.open({ catch_up: 'all' });
    const paused = await bench.scheduler?.pauseSchedule('tidy', ANN);
    expect(paused).toMatchObject({ nextAt: null, paused: { by: 'ann', at: START } });
    await bench.down(2 * MINUTE);
    await bench.open({ catch_up: 'all' });
    await bench.clock.advance(2 * MINUTE);
    expect(await bench.started()).toEqual([]);
    const resumed = await bench.scheduler?.resumeSchedule('tidy', ANN);
    expect(resumed).toMatchObject({ paused: null, nextAt: Date.parse('2026-05-01T12:05:00Z') });
    await bench.clock.advance(MINUTE);
    expect(await bench.started()).toEqual(['05:00']);
  });

  it('is told about a schedule that is none', async () => {
    await bench.open();
    await expect(bench.scheduler?.pauseSchedule('tydi', ANN)).rejects.toMatchObject({
      code: 'schedule_unknown',
      hint: 'did you mean `tidy`?',
    });
  });

  it('is asked for by the policies', async () => {
    const asked: unknown[] = [];
    const authorizer: Authorizer = {
      isEnforcing: true,
      policySet: null,
      authorize: (request) => {
        asked.push([request.action, request.principal.id, request.resource]);
        return { effect: 'deny', policies: ['p'], reason: 'forbidden by `p`', errors: [], policySet: null };
      },
    };
    const scheduler = await bench.open({}, { authorizer });
    await expect(scheduler.pauseSchedule('tidy', ANN)).rejects.toMatchObject({ code: 'unauthorized' });
    expect(asked).toEqual([['manage-schedule', 'ann', { type: 'Workflow', id: 'tidy' }]]);
    expect(await scheduler.schedules()).toMatchObject([{ paused: null }]);
  });
});
