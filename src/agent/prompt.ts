/** From a prompt template and a task to the prompt. */
import { isUtf8 } from 'node:buffer';
import type { PromptTemplate, Slot } from '../config/prompt.js';
import { VaporaError } from '../core/errors.js';
import type { InputArtifact, TaskOrder } from '../core/ports.js';
import type { AttemptVoice } from '../transport/runner.js';
import { loadBlob } from './context.js';

/** More than any model takes. */
export const MAX_PROMPT_BYTES = 4 * 1024 * 1024;

/** Throws `task_failed` where something that the template names is not there, or the prompt is too large. */
export async function renderPrompt(
  template: PromptTemplate,
  order: TaskOrder,
  voice: AttemptVoice,
): Promise<string> {
  let input: unknown;
  let text = '';
  for (const part of template) {
    if (typeof part === 'string') {
      text += part;
      continue;
    }
    if (part.kind === 'input')
      input ??= JSON.parse(Buffer.from(await loadBlob(order.input, voice)).toString('utf8'));
    text += await textOf(part, order, voice, input);
    if (Buffer.byteLength(text) > MAX_PROMPT_BYTES) break;
  }
  if (Buffer.byteLength(text) <= MAX_PROMPT_BYTES) return text;
  throw missing(`the prompt has more than ${MAX_PROMPT_BYTES} bytes`);
}

async function textOf(slot: Slot, order: TaskOrder, voice: AttemptVoice, input: unknown): Promise<string> {
  switch (slot.kind) {
    case 'input':
      return inputText(input, slot.path);
    case 'artifact': {
      const found = order.artifacts.findLast(({ name }) => name === slot.name);
      if (found !== undefined) return contentOf(found, voice);
      throw missing(`there is no artifact \`${slot.name}\` for the prompt`);
    }
    case 'artifacts': {
      const all: string[] = [];
      for (const artifact of order.artifacts) {
        const { name, kind, stage } = artifact;
        all.push(`--- ${name} (${kind}, by stage ${stage})\n${await contentOf(artifact, voice)}`);
      }
      return all.join('\n');
    }
    case 'label':
      return order.labels[slot.key] ?? '';
    case 'stage':
      return order.stage_name;
    default:
      return order[slot.kind];
  }
}

function inputText(input: unknown, path: readonly string[]): string {
  let value = input;
  for (const key of path) {
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    if (!isThere) throw missing(`the input has no \`${path.join('.')}\` for the prompt`);
    value = (value as Record<string, unknown>)[key];
  }
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

async function contentOf(artifact: InputArtifact, voice: AttemptVoice): Promise<string> {
  if (artifact.size > MAX_PROMPT_BYTES)
    throw missing(`artifact \`${artifact.name}\` is too large for a prompt`);
  const bytes = await loadBlob(artifact, voice);
  if (!isUtf8(bytes)) throw missing(`artifact \`${artifact.name}\` is no text, so it can't be in a prompt`);
  return Buffer.from(bytes).toString('utf8');
}

function missing(why: string): VaporaError {
  return new VaporaError('task_failed', why);
}
