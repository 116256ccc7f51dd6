import { readFile } from 'node:fs/promises';
import { VaporaError } from '../../core/errors.js';
import type { App } from '../context.js';
import { explainError } from '../contract/errors.js';
import { addRoute } from '../routing.js';

/** Part of the package, beside the compiled code. */
const PAGE = new URL('../../../docs/errors.md', import.meta.url);

export function errorRoutes(app: App): void {
  addRoute(app, explainError, async ({ params, reply }) => {
    const sections = (await readFile(PAGE, 'utf8')).split(/^(?=#{2,3} )/m);
    const section = sections.find((text) => text.startsWith(`### \`${params.code}\`\n`));
    if (section === undefined) {
      throw new VaporaError('resource_unknown', `there is no error code \`${params.code}\``);
    }
    return reply.type('text/markdown; charset=utf-8').send(section);
  });
}
