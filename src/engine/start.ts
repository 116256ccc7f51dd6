/** Checks of a start, before anything is decided. */

import { canonicalJson } from '../config/canonical.js';
import { nearest, shown } from '../config/text.js';
import type { StartRequest } from '../core/api.js';
import { VaporaError } from '../core/errors.js';
import { type Digest, isName, NAME_RULE } from '../core/names.js';
import type { WorkflowTemplate } from '../core/template.js';
import { sha256 } from './digest.js';

const MAX_LABELS = 64;
const MAX_LABEL_CHARACTERS = 256;
const MAX_GROUPS = 256;
const MAX_PRINCIPAL_CHARACTERS = 256;
/** Deeper nesting serves nobody and costs every later reader its stack. */
export const MAX_INPUT_DEPTH = 100;

export interface StartLimits {
  readonly maxInputBytes: number;
}

export interface CheckedStart {
  readonly id: string | null;
  readonly template: WorkflowTemplate;
  /** Canonical JSON: equal inputs are equal bytes. */
  readonly input: Uint8Array;
  readonly inputDigest: Digest;
  /** Sorted by key. */
  readonly labels: readonly (readonly [string, string])[];
}

/** Throws `workflow_unknown`, `name_invalid`, `input_invalid`, `input_too_large`, `limit_exceeded`. */
export function checkStart(
  request: StartRequest,
  templates: ReadonlyMap<string, WorkflowTemplate>,
  limits: StartLimits,
): CheckedStart {
  const template = templates.get(request.workflow);
  if (template === undefined) throw unknownWorkflow(request.workflow, templates);
  const id = request.id ?? null;
  if (id !== null && !isName(id))
    throw new VaporaError('name_invalid', `\`${shown(id)}\` is not an id: ${NAME_RULE}`);
  checkPrincipal(request.initiator.user, request.initiator.groups);
  const text = inputText(request.input === undefined ? {} : request.input);
  const input = Buffer.from(text, 'utf8');
  if (input.byteLength > limits.maxInputBytes) {
    throw new VaporaError(
      'input_too_large',
      `the input has ${input.byteLength} bytes, the limit is ${limits.maxInputBytes}`,
      {
        hint: 'hand in a reference to the content, or raise `max_input_bytes`',
      },
    );
  }
  return { id, template, input, inputDigest: sha256(input), labels: checkLabels(request.labels ?? {}) };
}

function inputText(input: unknown): string {
  try {
    checkValue(input, 0);
    return canonicalJson(JSON.parse(JSON.stringify(input) ?? 'null'));
  } catch (error) {
    if (error instanceof VaporaError) throw error;
    throw new VaporaError('input_invalid', 'the input is not a JSON value', { cause: error });
  }
}

function checkValue(value: unknown, depth: number): void {
  if (typeof value === 'string' && !value.isWellFormed()) {
    throw new VaporaError('input_invalid', 'the input has text that is not well-formed Unicode');
  }
  // JSON would make it null: `1e999` is read as infinite
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new VaporaError('input_invalid', 'the input has a number that is too large for JSON', {
      hint: 'hand it over as text',
    });
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth >= MAX_INPUT_DEPTH) {
    throw new VaporaError('input_invalid', `the input is nested deeper than ${MAX_INPUT_DEPTH} levels`);
  }
  const isArray = Array.isArray(value);
  for (const [key, inner] of Object.entries(value)) {
    if (!isArray) checkValue(key, depth + 1);
    checkValue(inner, depth + 1);
  }
}

function checkPrincipal(user: string, groups: readonly string[]): void {
  if (groups.length > MAX_GROUPS)
    throw new VaporaError('limit_exceeded', `a person has at most ${MAX_GROUPS} groups`);
  for (const name of [user, ...groups]) {
    if (name.length > 0 && name.length <= MAX_PRINCIPAL_CHARACTERS && name.isWellFormed()) continue;
    throw new VaporaError('name_invalid', `\`${shown(name)}\` is no name of a person or group`, {
      hint: `1 to ${MAX_PRINCIPAL_CHARACTERS} characters of well-formed text`,
    });
  }
}

function checkLabels(labels: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length > MAX_LABELS)
    throw new VaporaError('limit_exceeded', `an instance has at most ${MAX_LABELS} labels`);
  for (const [key, value] of entries) {
    if (!isName(key))
      throw new VaporaError('name_invalid', `\`${shown(key)}\` is no label key: ${NAME_RULE}`);
    if (value.length <= MAX_LABEL_CHARACTERS && value.isWellFormed()) continue;
    throw new VaporaError(
      'input_invalid',
      `the value of label \`${key}\` is not text of at most ${MAX_LABEL_CHARACTERS} characters`,
    );
  }
  return entries;
}

function unknownWorkflow(name: string, templates: ReadonlyMap<string, WorkflowTemplate>): VaporaError {
  const names = [...templates.keys()];
  const meant = nearest(name, names);
  if (names.length === 0) {
    const hint = 'the configuration has no workflows: add a `[[workflows]]`';
    return new VaporaError('workflow_unknown', `there is no workflow \`${shown(name)}\``, { hint });
  }
  const known = names
    .slice(0, 10)
    .map((known) => `\`${known}\``)
    .join(', ');
  return new VaporaError('workflow_unknown', `there is no workflow \`${shown(name)}\``, {
    hint: meant !== undefined ? `did you mean \`${meant}\`?` : `the workflows are ${known}`,
  });
}
