/** Bodies: JSON, exactly as it was meant, and nothing else. */
import { MAX_JSON_DEPTH, parseJsonInput } from '../engine/json-input.js';
import type { App } from './context.js';

/** Other types are refused, so that no form of another page can send anything. Size is the route's own limit. */
export function addBodyParser(app: App): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_, body, done) => {
    const text = String(body);
    try {
      const limits = { maxBytes: Number.MAX_SAFE_INTEGER, maxDepth: MAX_JSON_DEPTH };
      // a body that is not there is left to the schema: some may be left out
      done(null, text === '' ? undefined : parseJsonInput(text, limits, 'the body'));
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)), undefined);
    }
  });
}
