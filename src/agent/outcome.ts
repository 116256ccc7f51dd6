/** From what an agent handed in to the outcome of its attempt. */
import type { AttemptUsage } from '../core/budget.js';
import type { ErrorCode } from '../core/errors.js';
import { isName, NAME_RULE } from '../core/names.js';
import type { OutputArtifact, TaskOutcome } from '../core/ports.js';
import { encodeJson } from './json-value.js';
import type { AttemptLimits } from './limits.js';

const MAX_MESSAGE_CHARACTERS = 1_000;

/** The agent broke the rules of what it may hand in: permanent, `agent_protocol`. The message goes on after "agent `x` ". */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export function failedOutcome(
  code: ErrorCode,
  message: string,
  isRetryable: boolean,
  log: Uint8Array | null,
): TaskOutcome {
  return { status: 'failed', error: { code, message: clip(message) }, isRetryable, log };
}

/** Agents' words in messages: bounded, on one line. */
export function clip(text: string, maxCharacters = MAX_MESSAGE_CHARACTERS): string {
  const line = text
    .slice(0, maxCharacters * 4)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return line.length > maxCharacters ? `${line.slice(0, maxCharacters)}…` : line;
}

/** What somebody threw, in words. Never throws, whatever it is. */
export function describe(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return String(thrown.message || thrown.name);
    if (typeof thrown === 'string') return thrown;
    if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) return String(thrown.message);
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return 'something that has no words for itself';
  }
}

/** A result as it was given; `TContent` is what stands for an artifact's content. */
export interface CheckedResult {
  readonly artifacts: readonly CheckedArtifact[];
  readonly output: unknown;
  /** Empty: the agent counts nothing. */
  readonly used: { readonly usage?: AttemptUsage };
}

interface CheckedArtifact {
  readonly name: string;
  readonly kind: string;
  readonly entry: Readonly<Record<string, unknown>>;
}

/**
 * Checks the shape of a result: `{ artifacts?: [{ name, kind, <content keys> }], output?, usage? }`, nothing else.
 * Throws {@link ProtocolError}.
 */
export function checkResult(
  value: unknown,
  contentKeys: readonly string[],
  limits: AttemptLimits,
): CheckedResult {
  const result = recordOf(value, 'a result');
  refuseOtherKeys(result, ['artifacts', 'output', 'usage'], 'a result');
  const artifacts = result.artifacts ?? [];
  if (!Array.isArray(artifacts)) throw new ProtocolError('returned `artifacts` that are no list');
  if (artifacts.length > limits.maxArtifacts) {
    throw new ProtocolError(
      `returned ${artifacts.length} artifacts, more than the ${limits.maxArtifacts} allowed`,
    );
  }
  const seen = new Set<string>();
  const checked = artifacts.map((item: unknown, index) => {
    const artifact = checkArtifact(item, index, contentKeys);
    if (seen.has(artifact.name)) throw new ProtocolError(`returned the artifact \`${artifact.name}\` twice`);
    seen.add(artifact.name);
    return artifact;
  });
  return {
    artifacts: checked,
    output: checkOutput(result.output, limits),
    used: result.usage === undefined ? {} : { usage: checkUsage(result.usage) },
  };
}

/** Far above what one attempt can use, and far below where whole numbers end, however many are added up. */
const MAX_AMOUNT = 1_000_000_000_000;
const MICRO = 1_000_000;

/** `{ input_tokens?, output_tokens?, usd?, model? }` */
function checkUsage(value: unknown): AttemptUsage {
  const usage = recordOf(value, '`usage`');
  refuseOtherKeys(usage, ['model', 'input_tokens', 'output_tokens', 'usd'], '`usage`');
  const { model = '', usd = 0 } = usage;
  if (typeof model !== 'string' || model.length > MAX_MODEL_CHARACTERS) {
    throw new ProtocolError(
      `returned \`usage\` with a \`model\` that is no text of at most ${MAX_MODEL_CHARACTERS} characters`,
    );
  }
  const amount = (key: string, given: unknown, isValid: (number: number) => boolean): number => {
    if (typeof given === 'number' && given >= 0 && given <= MAX_AMOUNT && isValid(given)) return given;
    throw new ProtocolError(`returned \`usage\` with ${quote(given)} as \`${key}\``);
  };
  return {
    model,
    inputTokens: amount('input_tokens', usage.input_tokens ?? 0, Number.isSafeInteger),
    outputTokens: amount('output_tokens', usage.output_tokens ?? 0, Number.isSafeInteger),
    microUsd: Math.round(amount('usd', usd, (number) => number * MICRO <= MAX_AMOUNT) * MICRO),
  };
}

const MAX_MODEL_CHARACTERS = 200;

/** As it stands in a result. */
export function usageMessage({ model, inputTokens, outputTokens, microUsd }: AttemptUsage) {
  return { model, input_tokens: inputTokens, output_tokens: outputTokens, usd: microUsd / MICRO };
}

function checkArtifact(item: unknown, index: number, contentKeys: readonly string[]): CheckedArtifact {
  const entry = recordOf(item, `artifact ${index}`);
  refuseOtherKeys(entry, ['name', 'kind', ...contentKeys], `artifact ${index}`);
  const { name, kind } = entry;
  for (const [key, text] of [
    ['name', name],
    ['kind', kind],
  ] as const) {
    if (typeof text !== 'string' || !isName(text)) {
      throw new ProtocolError(
        `returned artifact ${index} with a ${key} that is not ${NAME_RULE}: ${quote(text)}`,
      );
    }
  }
  const given = contentKeys.filter((key) => entry[key] !== undefined);
  if (given.length !== 1) {
    const wanted = contentKeys.map((key) => `\`${key}\``).join(' or ');
    throw new ProtocolError(
      `returned artifact \`${String(name)}\` with ${given.length === 0 ? `no ${wanted}` : `both ${wanted}`}`,
    );
  }
  return { name: String(name), kind: String(kind), entry };
}

/** The value as JSON gives it back, within the limit. Throws {@link ProtocolError}. */
export function checkOutput(output: unknown, limits: AttemptLimits, what = '`output`'): unknown {
  if (output === undefined || output === null) return null;
  const json = encodeJson(output);
  if ('problem' in json) throw new ProtocolError(`returned ${what} that is not JSON: ${json.problem}`);
  const size = Buffer.byteLength(json.text);
  if (size > limits.maxOutputBytes) {
    throw new ProtocolError(
      `returned ${what} of ${size} bytes, more than the ${limits.maxOutputBytes} allowed`,
    );
  }
  return JSON.parse(json.text);
}

/** Text as UTF-8, bytes as a copy, anything else as JSON. Throws {@link ProtocolError}. */
export function encodeContent(name: string, content: unknown): Uint8Array {
  if (typeof content === 'string') return utf8(content);
  // a copy: the agent may go on using its buffer
  if (content instanceof Uint8Array) return new Uint8Array(content);
  const json = encodeJson(content);
  if ('problem' in json) {
    throw new ProtocolError(
      `returned artifact \`${name}\` whose content is neither text, bytes nor JSON: ${json.problem}`,
    );
  }
  return utf8(json.text);
}

/** In a buffer of its own; several times faster than a `TextEncoder` for short texts. */
function utf8(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** Counts artifacts against the limits. Throws {@link ProtocolError}. */
export class ArtifactBudget {
  readonly #limits: AttemptLimits;
  #total = 0;

  constructor(limits: AttemptLimits) {
    this.#limits = limits;
  }

  spend(name: string, bytes: number): void {
    const { maxArtifactBytes, maxTotalArtifactBytes } = this.#limits;
    if (bytes > maxArtifactBytes) {
      throw new ProtocolError(
        `returned artifact \`${name}\` of ${bytes} bytes, more than the ${maxArtifactBytes} allowed`,
      );
    }
    this.#total += bytes;
    if (this.#total > maxTotalArtifactBytes) {
      throw new ProtocolError(`returned more than the ${maxTotalArtifactBytes} bytes of artifacts allowed`);
    }
  }
}

/** The outcome of an in-process agent's result. Throws {@link ProtocolError}. */
export function completedOutcome(value: unknown, limits: AttemptLimits, log: Uint8Array | null): TaskOutcome {
  if (value === undefined || value === null) return { status: 'completed', artifacts: [], output: null, log };
  const result = checkResult(value, ['content'], limits);
  const budget = new ArtifactBudget(limits);
  const artifacts: OutputArtifact[] = result.artifacts.map(({ name, kind, entry }) => {
    const content = encodeContent(name, entry.content);
    budget.spend(name, content.length);
    return { name, kind, content };
  });
  return { status: 'completed', artifacts, output: result.output, log, ...result.used };
}

function recordOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError(`returned ${what} that is no object: ${quote(value)}`);
  }
  return { ...value };
}

function refuseOtherKeys(record: object, allowed: readonly string[], what: string): void {
  const other = Object.keys(record).find((key) => !allowed.includes(key));
  if (other === undefined) return;
  const known = allowed.map((key) => `\`${key}\``).join(', ');
  throw new ProtocolError(`returned ${what} with the unknown key ${quote(other)} (known: ${known})`);
}

/** A glimpse of something unexpected, for messages. */
export function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : describe(value);
  return `\`${clip(text, 80)}\``;
}
