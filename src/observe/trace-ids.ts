/**
 * Ids of traces and spans follow from ids of instances, stages and attempts. So a span that was begun before a crash and ended after
 * it is the same span, and what an agent reports under it finds its place.
 */
import { createHash } from 'node:crypto';

const TRACE_CHARACTERS = 32;
const SPAN_CHARACTERS = 16;

function hash(text: string, characters: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, characters);
}

export function traceIdOf(instance: string): string {
  return hash(`trace ${instance}`, TRACE_CHARACTERS);
}

/** `what` is unique within all instances: `<instance>`, `<instance>/<stage>/…`, an attempt's id. */
export function spanIdOf(what: string): string {
  return hash(`span ${what}`, SPAN_CHARACTERS);
}

/** W3C: version, trace, span, sampled. */
export function traceparentOf(instance: string, taskId: string): string {
  return `00-${traceIdOf(instance)}-${spanIdOf(taskId)}-01`;
}
