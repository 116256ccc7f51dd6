/** One line a transition, at `info`, with the ids that it belongs to. Never content: inputs, outputs and what agents say stay out of it. */
import type { Logger } from 'pino';
import type { WorkflowEvent } from '../core/events.js';
import type { Committed, EngineObserver } from '../core/ports.js';
import { NO_OBSERVER } from './observers.js';

export function transitionLog(log: Logger): EngineObserver {
  return {
    ...NO_OBSERVER,
    committed: (commit) => {
      if (log.isLevelEnabled('info')) writeLines(log, commit);
    },
  };
}

function writeLines(log: Logger, { previous, next, events }: Committed): void {
  const ids = { instance: next.id, workflow: next.templateName };
  let seq = previous?.seq ?? 0;
  for (const event of events) {
    seq += 1;
    const line = { ...ids, seq, ...detailsOf(event) };
    // a step is progress within a task, and there may be thousands
    if (event.type === 'step_completed') log.debug(line, event.type);
    else log.info(line, event.type);
  }
}

type Details = Readonly<Record<string, string | number | null>>;

function detailsOf(event: WorkflowEvent): Details {
  const details: Record<string, string | number | null> = {};
  if ('stage' in event) details.stage = event.stage;
  if ('role' in event) {
    details.role = event.role;
    details.kind = event.kind;
    details.attempt = event.attempt;
  }
  if ('assignment' in event) details.agent = event.assignment.agent;
  if ('error' in event) details.code = event.error.code;
  if ('cause' in event) details.code = event.cause.code;
  if ('block' in event) details.code = event.block.code;
  if ('action' in event) details.action = event.action;
  if ('decision' in event) details.effect = event.decision.effect;
  if ('initiator' in event) details.by = event.initiator.user;
  if ('by' in event)
    details.by = typeof event.by === 'string' || event.by === null ? event.by : event.by.user;
  return details;
}
