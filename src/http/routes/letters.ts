import type { z } from 'zod';
import type { App, ServerContext } from '../context.js';
import { type Letter, listDeadLetters, resolveDeadLetter, retryDeadLetter } from '../contract/letters.js';
import { toWire } from '../contract/wire.js';
import { addRoute } from '../routing.js';
import { instanceAnswer } from './instances.js';

export function letterRoutes(app: App, { api, guard, summary }: ServerContext): void {
  addRoute(app, listDeadLetters, async ({ query, identity }) => {
    const { workflow, instance, limit, cursor } = query;
    const page = await api.deadLetters({
      limit,
      ...(workflow === undefined ? {} : { workflow }),
      ...(instance === undefined ? {} : { instance }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    const readable: z.output<typeof Letter>[] = [];
    const known = new Map<string, boolean>();
    const rows = guard.readRows(identity);
    for (const letter of page.items) {
      const { workflow_id: id } = letter;
      const mayRead = known.get(id) ?? rows.mayRead(await summary(id));
      known.set(id, mayRead);
      if (mayRead) readable.push(toWire(letter) as z.output<typeof Letter>);
    }
    rows.end();
    return { dead_letters: readable, next: page.next };
  });
  addRoute(app, retryDeadLetter, async ({ params, identity }) =>
    instanceAnswer(await api.retryDeadLetter(`${params.id}/${params.stage}`, identity.principal)),
  );
  addRoute(app, resolveDeadLetter, async ({ params, body, identity }) => {
    const letter = `${params.id}/${params.stage}`;
    return instanceAnswer(await api.resolveDeadLetter(letter, identity.principal, body.reason));
  });
}
