/**
 * An engine inside a program: the pipeline and its agents are TypeScript (or JavaScript), no process is started.
 * Run it with `node examples/library/order.mjs [DIRECTORY]`; the directory keeps the engine's state.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineAgent, defineWorkflow, openEngine, PermanentError, parseConfig } from 'vapora-workflow-engine';

const directory = process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'vapora-library-')));

const order = defineWorkflow({
  name: 'order',
  stages: [
    { name: 'reserve', agents: ['warehouse'], compensation_agents: ['warehouse'] },
    { name: 'charge', agents: ['cashier'], compensation_agents: ['cashier'] },
    { name: 'ship', agents: ['carrier'], retry: { max_attempts: 3, initial_ms: 20 } },
  ],
});

// The world that the agents act upon. In earnest these are services; each is told the idempotency key, so that a repeated call of
// one task counts once.
const stock = new Map([['tea', 3]]);
const account = new Map();
let labels = 0;

const warehouse = defineAgent({
  name: 'warehouse',
  roles: ['warehouse'],
  execute({ input }) {
    const left = stock.get(input.item) ?? 0;
    if (left < 1) throw new PermanentError(`${input.item} is sold out`);
    stock.set(input.item, left - 1);
    return { artifacts: [{ name: 'reservation', kind: 'reservation', content: { item: input.item } }] };
  },
  async compensate(_task, ctx) {
    const { item } = await ctx.artifacts.json('reservation');
    stock.set(item, stock.get(item) + 1);
  },
});

const cashier = defineAgent({
  name: 'cashier',
  roles: ['cashier'],
  execute({ input, idempotency_key: key }) {
    account.set(key, input.price);
    return { artifacts: [{ name: 'payment', kind: 'payment', content: { key } }], output: input.price };
  },
  async compensate(_task, ctx) {
    const { key } = await ctx.artifacts.json('payment');
    account.delete(key);
  },
});

const carrier = defineAgent({
  name: 'carrier',
  roles: ['carrier'],
  async execute({ input, attempt }, ctx) {
    // kept durably: the second attempt gets the label of the first and prints none
    const label = await ctx.step('label', () => {
      labels += 1;
      return `label ${labels} to ${input.to}`;
    });
    if (attempt === 1) throw new Error('the carrier does not answer');
    if (input.to === 'the moon') throw new PermanentError(`nobody delivers to ${input.to}`);
    return { artifacts: [{ name: 'label', kind: 'shipping', content: label }] };
  },
});

const config = parseConfig('', { file: join(directory, 'workflows.toml') }, {});
const engine = await openEngine(config, { workflows: [order], agents: [warehouse, cashier, carrier] });

for (const input of [
  { item: 'tea', price: 4.5, to: 'Ann' },
  { item: 'tea', price: 4.5, to: 'the moon' },
]) {
  const { id } = await engine.api.start({ workflow: 'order', input, initiator: { user: 'ann', groups: [] } });
  const { status, stages, error } = await engine.api.untilRest(id);
  console.log(`to ${input.to}: ${status}${error === null ? '' : `, because ${error.message}`}`);
  for (const { name, status, compensation, tasks } of stages) {
    console.log(`  ${name}: ${status} at attempt ${tasks[0].attempt}, compensation ${compensation.status}`);
  }
}
console.log(`left: ${stock.get('tea')} tea; paid: ${[...account.values()]}; labels printed: ${labels}`);
await engine.close();
