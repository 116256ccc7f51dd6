import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { defineAgent } from '../agent/agent.js';
import { createSdkRunner } from '../agent/sdk-runner.js';
import { AllowAllAuthorizer } from '../auth/allow-all.js';
import { defineWorkflow } from '../config/define.js';
import type { WorkflowDefinition } from '../config/schema.js';
import { DEFAULT_ENGINE } from '../config/schema.js';
import { VaporaError } from '../core/errors.js';
import { WorkflowOrchestrator } from '../engine/orchestrator.js';
import { emptyMemory, MemoryWorkflowStore } from '../store/memory.js';
import { TestClock } from '../testing/test-clock.js';
import { InProcessTransport } from '../transport/in-process.js';
import { Chain, type ChainOptions } from './chain.js';
import { chainedId } from './start-ids.js';

const ANN = { user: 'ann', groups: ['dev'] };

function workflow(name: string, more: Partial<WorkflowDefinition> = {}) {
  return defineWorkflow({
    name,
    stages: [{ name: 's', agents: [name === 'bad' ? 'break' : 'work'], retry: { max_attempts: 1 } }],
    ...more,
  });
}

const workflows = [
  workflow('build'),
  workflow('bad'),
  workflow('test', { trigger: 'workflow', after: { workflow: 'build' } }),
  workflow('ship', {
    trigger: 'workflow',
    after: { workflow: 'test', states: ['completed', 'failed'], initiator: 'robot', groups: ['g'] },
  }),
  workflow('mourn', { trigger: 'workflow', after: { workflow: 'bad', states: ['failed'] } }),
];
const templates = new Map(workflows.map((template) => [template.name, template]));

/** An engine over data that outlives it. */
class Rig {
  readonly clock = new TestClock();
  readonly data = emptyMemory();
  engine = this.#open();
  chain: Chain | null = null;

  #open() {
    const transport = new InProcessTransport(this.clock);
    const agent = defineAgent({
      name: 'a',
      roles: ['work', 'break'],
      execute: ({ role }) => {
        if (role === 'break') throw new Error('it broke');
        return { artifacts: [{ name: 'note', kind: 'code', content: 'x' }] };
      },
    });
    transport.register(createSdkRunner(agent));
    const store = new MemoryWorkflowStore(this.data);
    const log = pino({ level: 'silent' });
    const { clock } = this;
    const { limits } = DEFAULT_ENGINE;
    const authorizer = new AllowAllAuthorizer();
    const parts = { store, transport, authorizer, clock, log, templates, maxParallelTasks: null, limits };
    return { api: new WorkflowOrchestrator(parts), store, log };
  }

  begin(more: Partial<ChainOptions['api']> = {}): void {
    const { api, store, log } = this.engine;
    const calls: ChainOptions['api'] = {
      start: (request) => api.start(request),
      get: (id) => api.get(id),
      subscribe: (listener) => api.subscribe(listener),
      content: (id, ref) => api.content(id, ref),
      artifacts: (id) => api.artifacts(id),
      ...more,
    };
    this.chain = new Chain({ api: calls, book: store, ended: store, clock: this.clock, log }, templates);
    this.chain.start();
  }

  async restart(): Promise<void> {
    await this.chain?.close();
    await this.engine.api.close();
    this.engine = this.#open();
  }

  async run(name: string, id: string): Promise<void> {
    await this.engine.api.start({ workflow: name, id, initiator: ANN, input: { of: id } });
    await this.engine.api.untilRest(id);
  }

  /** Templates of what there is, by name. */
  async there(): Promise<string[]> {
    await this.clock.advance(1);
    return [...this.data.instances.values()].map(({ instance }) => instance.templateName).sort();
  }
}

let rig = new Rig();
afterEach(async () => {
  await rig.chain?.close();
  await rig.engine.api.close();
  rig = new Rig();
});

describe('the end of an instance', () => {
  it('starts what waits for it, and the end of that what waits for that', async () => {
    rig.begin();
    await rig.run('build', 'b1');
    expect(await rig.there()).toEqual(['build', 'ship', 'test']);
    const test = rig.data.instances.get((await rig.engine.api.get(chainedId('test', 'b1'))).id)?.instance;
    expect(test).toMatchObject({ initiator: ANN, labels: [['after', 'b1']] });
    expect(JSON.parse(test?.input.inline ?? '')).toEqual({
      workflow_id: 'b1',
      workflow: 'build',
      state: 'completed',
      error: null,
      input: { of: 'b1' },
      artifacts: [
        { stage: 's', role: 'work', name: 'note', kind: 'code', digest: expect.any(String), size: 1 },
      ],
    });
    const ship = await rig.engine.api.get(chainedId('ship', chainedId('test', 'b1')));
    expect(ship.initiator).toEqual({ user: 'robot', groups: ['g'] });
  });

  it('counts only in the states that are waited for', async () => {
    rig.begin();
    await rig.run('bad', 'x1');
    expect(await rig.there()).toEqual(['bad', 'mourn']);
    expect(JSON.parse((await rig.engine.api.get(chainedId('mourn', 'x1'))).input.inline ?? '')).toMatchObject(
      {
        state: 'failed',
        error: { code: 'agent_failed' },
      },
    );
  });

  it('that nobody followed, because the engine died, is found again after the start', async () => {
    rig.begin();
    await rig.there();
    await rig.chain?.close();
    await rig.run('build', 'b1');
    await rig.restart();
    expect(await rig.there()).toEqual(['build']);
    rig.begin();
    expect(await rig.there()).toEqual(['build', 'ship', 'test']);
  });

  it('from before the trigger was there starts nothing', async () => {
    await rig.run('build', 'b1');
    await rig.clock.advance(3_600_000);
    rig.begin();
    await rig.run('build', 'b2');
    expect(await rig.there()).toEqual(['build', 'build', 'ship', 'test']);
  });

  it('is followed once, however often the engine starts', async () => {
    rig.begin();
    await rig.run('build', 'b1');
    await rig.there();
    for (let times = 0; times < 2; times += 1) {
      await rig.restart();
      rig.begin();
    }
    expect(await rig.there()).toEqual(['build', 'ship', 'test']);
  });

  it('is followed later where the engine is full', async () => {
    let isFull = true;
    rig.begin({
      start: async (request) => {
        if (isFull) throw new VaporaError('engine_overloaded', 'full');
        return rig.engine.api.start(request);
      },
    });
    await rig.run('build', 'b1');
    expect(await rig.there()).toEqual(['build']);
    isFull = false;
    await rig.clock.advance(20_000);
    expect(await rig.there()).toEqual(['build', 'ship', 'test']);
  });

  it('starts nothing where that is forbidden, and goes on with the next', async () => {
    let tries = 0;
    rig.begin({
      start: async () => {
        tries += 1;
        throw new VaporaError('unauthorized', 'no');
      },
    });
    await rig.run('build', 'b1');
    await rig.run('build', 'b2');
    await rig.clock.advance(60_000);
    expect(await rig.there()).toEqual(['build', 'build']);
    expect(tries).toBe(2);
  });
});
