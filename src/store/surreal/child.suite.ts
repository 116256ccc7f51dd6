/** A process of its own for tests that kill it, or that open what may end it: `child.suite.js <command> <url>`. */
import { VaporaError } from '../../core/errors.js';
import type { StoredInstance } from '../../core/ports.js';
import { completion, creation, note, TEMPLATE, testClock } from '../fixtures.suite.js';
import { SurrealWorkflowStore } from './store.js';

const [, , command = '', url = ''] = process.argv;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Saves for ever in four strands and says each commit that was acknowledged: `<id> <revision> <head>`. */
async function saveForever(store: SurrealWorkflowStore): Promise<void> {
  await store.saveTemplate(TEMPLATE);
  const saved = async (commit: ReturnType<typeof note>): Promise<StoredInstance> => {
    const stored = await store.save(commit);
    say(`${stored.instance.id} ${stored.instance.revision} ${stored.head}`);
    return stored;
  };
  const strand = async (name: string): Promise<void> => {
    for (let n = 0; ; n += 1) {
      let last = await saved(creation(`${name}-${process.pid}-${n}`));
      for (let more = 0; more < 10; more += 1) last = await saved(note(last, 'x'.repeat(500)));
      if (n % 3 !== 0) last = await saved(completion(last));
      if (n % 3 !== 1) continue;
      await store.delete(last.instance.id);
      say(`${last.instance.id} deleted`);
    }
  };
  await Promise.all(['a', 'b', 'c', 'd'].map(strand));
}

try {
  const store = await SurrealWorkflowStore.open(url, { clock: testClock() });
  say('open');
  if (command === 'save') await saveForever(store);
  if (command === 'hold') await new Promise(() => setInterval(() => undefined, 1_000));
  await store.close();
  say('closed');
} catch (error) {
  const code = error instanceof VaporaError ? error.code : 'none';
  say(
    `error ${JSON.stringify({ code, message: String(error), hint: error instanceof VaporaError ? error.hint : '' })}`,
  );
  process.exit(9);
}
