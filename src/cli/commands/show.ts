/** `vapora show`: everything there is to know about one instance, and what to do next. */
import type { WorkflowApi } from '../../core/api.js';
import type { Decision, WorkflowInstance } from '../../core/instance.js';
import { instanceJson } from '../json.js';
import { readEngine } from '../session.js';
import type { Shell } from '../shell.js';
import { showLines } from '../show-lines.js';

export async function show(shell: Shell, id: string): Promise<number> {
  return readEngine(shell, async ({ api }) => {
    const instance = await api.get(id);
    const artifacts = await api.artifacts(id);
    const denials = await denialsOf(api, instance);
    shell.json({ ...instanceJson(instance, artifacts), denials: Object.fromEntries(denials) });
    shell.say(...showLines({ instance, artifacts, denials, now: shell.clock.now() }, shell.colors));
    return 0;
  });
}

/** The decisions that hold denied stages back: only the history has them. */
async function denialsOf(api: WorkflowApi, instance: WorkflowInstance): Promise<Map<string, Decision>> {
  const denied = new Set(
    instance.stages.filter((stage) => stage.block?.code === 'denied').map((stage) => stage.name),
  );
  const denials = new Map<string, Decision>();
  if (denied.size === 0) return denials;
  for await (const event of api.history(instance.id)) {
    if (event.type === 'stage_authorized' && event.decision.effect === 'deny' && denied.has(event.stage)) {
      denials.set(event.stage, event.decision);
    }
  }
  return denials;
}
