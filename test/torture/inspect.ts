/**
 * Opens a store, has every history verified and every content read, and prints what is in it, one line of JSON an instance. Nothing
 * goes on meanwhile. Argument: directory. Exit code 5: the store was refused, and why is on stderr.
 */
import pino from 'pino';
import { type Engine, openEngine } from '../../src/compose.js';
import { loadConfig } from '../../src/config/load.js';
import { VaporaError } from '../../src/core/errors.js';
import { placeOf } from './episode-files.js';
import type { Fact, FactEvent } from './facts.js';
import { contentOf } from './workload.js';

const PAGE = 500;

async function* idsOf({ api }: Engine): AsyncGenerator<string> {
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof api.list>> = await api.list({
      limit: PAGE,
      ...(cursor === null ? {} : { cursor }),
    });
    for (const { id } of page.items) yield id;
    cursor = page.next;
  } while (cursor !== null);
}

async function factOf(engine: Engine, id: string): Promise<Fact> {
  const { api } = engine;
  const { status, templateName: workflow } = await api.get(id);
  const { broken, head } = await api.verifyAudit(id);
  if (broken !== null) {
    return {
      id,
      workflow,
      status,
      broken: `revision ${broken.revision}: ${broken.reason}`,
      events: [],
      head,
    };
  }
  const events: FactEvent[] = [];
  const times: number[] = [];
  for await (const record of api.history(id)) {
    const { type, stage, role, kind, attempt } = record as FactEvent & { at: number };
    times.push(record.at);
    events.push({ type, stage, role, kind, attempt });
  }
  const isForward = times.every((at, index) => at >= (times[index - 1] ?? 0));
  const problem = isForward ? await contentProblem(engine, id) : 'its time goes back';
  return { id, workflow, status, broken: problem, events, head };
}

/** Agents in the engine's process hand in what follows from their key. */
async function contentProblem({ api }: Engine, id: string): Promise<string | null> {
  for (const artifact of await api.artifacts(id)) {
    if (artifact.name !== 'result') continue;
    const text = Buffer.from(await api.content(id, artifact)).toString();
    if (text !== contentOf(`${id}/${artifact.stage}/${artifact.role}/execute`)) {
      return `artifact of stage ${artifact.stage} is not what was handed in`;
    }
  }
  return null;
}

async function main(directory: string): Promise<void> {
  const config = await loadConfig(placeOf(directory).config, {});
  const engine = await openEngine(config, { logger: pino({ level: 'silent' }) });
  let text = '';
  for await (const id of idsOf(engine)) {
    const fact = await factOf(engine, id).catch((error: unknown): Fact => {
      if (!(error instanceof VaporaError)) throw error;
      return {
        id,
        workflow: '',
        status: '',
        broken: `${error.code}: ${error.message}`,
        events: [],
        head: '',
      };
    });
    text += `${JSON.stringify(fact)}\n`;
  }
  await new Promise((resolve) => process.stdout.write(text, resolve));
  await engine.close();
  process.exit(0);
}

main(process.argv[2] ?? '').catch((error: unknown) => {
  const isRefusal = error instanceof VaporaError;
  process.stderr.write(isRefusal ? `${error.code}: ${error.message}\n` : `${String(error)}\n`);
  process.exit(isRefusal ? 5 : 6);
});
