/** `vapora run`: starts an instance and follows it until it rests. */
import { nearest, quoted } from '../../config/text.js';
import { VaporaError } from '../../core/errors.js';
import { isLive, type Principal, type WorkflowInstance } from '../../core/instance.js';
import type { Catalog } from '../catalog.js';
import { type AutoApproval, drive, exitOfRest } from '../drive.js';
import { parseLabels, readInput } from '../input.js';
import { type Session, withEngine } from '../session.js';
import type { Shell } from '../shell.js';

export interface RunOptions {
  readonly input?: string;
  readonly initiator?: string;
  readonly group: readonly string[];
  readonly label: readonly string[];
  readonly id?: string;
  readonly approve: readonly string[];
}

export async function run(shell: Shell, workflow: string, options: RunOptions): Promise<number> {
  const labels = parseLabels(options.label);
  return withEngine(shell, async (session) => {
    const { api, catalog } = session;
    const initiator = session.person({
      group: options.group,
      ...(options.initiator === undefined ? {} : { by: options.initiator }),
    });
    const approve = await autoApproval(options.approve, initiator, workflow, catalog);
    const input =
      options.input === undefined ? {} : await readInput(options.input, shell.host, catalog.maxInputBytes);
    const { id, isNew } = await api.start({
      workflow,
      input,
      initiator,
      labels,
      ...(options.id === undefined ? {} : { id: options.id }),
    });
    if (!isNew) await goOn(shell, session, id, initiator);
    const rest = await drive(shell, session, id, {
      afterSeq: 0,
      ...(approve === null ? {} : { approve }),
    });
    return exitOfRest(rest);
  });
}

/** An equal start was made before: nothing is started twice, but what that one left is gone on with. */
async function goOn(shell: Shell, { api }: Session, id: string, by: Principal): Promise<void> {
  const instance: WorkflowInstance = await api.get(id);
  shell.note(`instance ${id} was started before and is ${instance.status.replace('_', ' ')}`);
  if (isLive(instance)) await api.resume(id, by);
}

/** Throws `stage_unknown` for a name that the workflow does not have: a typo would otherwise wait for ever. */
async function autoApproval(
  names: readonly string[],
  by: Principal,
  workflow: string,
  catalog: Catalog,
): Promise<AutoApproval | null> {
  if (names.length === 0) return null;
  if (names.includes('all')) return { stages: 'all', by };
  const stages = (await catalog.workflows()).get(workflow) ?? names;
  for (const name of names) {
    if (stages.includes(name)) continue;
    const near = nearest(name, stages);
    const hint =
      near === undefined
        ? `its stages are ${stages.map(quoted).join(', ')}`
        : `did you mean ${quoted(near)}?`;
    throw new VaporaError('stage_unknown', `workflow ${quoted(workflow)} has no stage ${quoted(name)}`, {
      hint,
    });
  }
  return { stages: new Set(names), by };
}
