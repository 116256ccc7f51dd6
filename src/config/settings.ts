/** `[engine]`: defaults filled in, units in milliseconds, paths absolute. */
import { resolve } from 'node:path';
import type { OnDeny } from '../core/template.js';
import { type DocumentNode, originOf } from './document.js';
import { buildOutbound, type OutboundSettings } from './outbound.js';
import type { Report } from './report.js';
import { DEFAULT_ENGINE, type EngineRow } from './schema.js';
import { redactStoreUrl, resolveStoreUrl, STORE_SCHEMES } from './store-url.js';
import { quoted } from './text.js';

/** Bytes, and counts. */
export interface EngineLimits {
  readonly maxInputBytes: number;
  readonly maxArtifactBytes: number;
  readonly maxOutputBytes: number;
  readonly maxStages: number;
  readonly maxTemplates: number;
}

export interface EngineSettings {
  readonly maxParallelTasks: number;
  /** Null: no limit. */
  readonly workflowTimeoutMs: number | null;
  readonly approvalGatesEnabled: boolean;
  /** Absolute; null: everything is allowed. */
  readonly cedarPolicyDir: string | null;
  /** URL; paths in it are absolute. */
  readonly store: string;
  readonly onDeny: OnDeny;
  readonly sagaParallelism: number;
  /** How long an agent that calls over the network may be silent. */
  readonly agentLeaseMs: number;
  readonly retention: RetentionSettings;
  readonly outbound: OutboundSettings;
  readonly limits: EngineLimits;
}

export interface RetentionSettings {
  /** From the end of an instance on; null: for ever. */
  readonly keepMs: number | null;
  /** Absolute; null: histories are not exported. */
  readonly archiveDir: string | null;
}

const DAY_MS = 86_400_000;

/** Seconds as users write them, in milliseconds. */
export function toMs(seconds: number): number {
  return Math.max(1, Math.round(seconds * 1_000));
}

export function toMsOrNull(seconds: number | undefined): number | null {
  return seconds === undefined ? null : toMs(seconds);
}

/** `root` is the document that `row` was read from: it knows the places. */
export function buildSettings(
  row: EngineRow | undefined,
  directory: string,
  root: DocumentNode,
  report: Report,
): EngineSettings {
  const { limits, retention } = row ?? {};
  return {
    maxParallelTasks: row?.max_parallel_tasks ?? DEFAULT_ENGINE.maxParallelTasks,
    workflowTimeoutMs: toMsOrNull(row?.workflow_timeout),
    approvalGatesEnabled: row?.approval_gates_enabled ?? DEFAULT_ENGINE.approvalGatesEnabled,
    cedarPolicyDir: row?.cedar_policy_dir === undefined ? null : resolve(directory, row.cedar_policy_dir),
    store: buildStore(row?.store ?? DEFAULT_ENGINE.store, directory, root, report),
    onDeny: row?.on_deny ?? DEFAULT_ENGINE.onDeny,
    sagaParallelism: row?.saga_parallelism ?? DEFAULT_ENGINE.sagaParallelism,
    agentLeaseMs: toMs(row?.agent_lease ?? DEFAULT_ENGINE.agentLease),
    retention: {
      keepMs: retention?.keep_days === undefined ? null : Math.round(retention.keep_days * DAY_MS),
      archiveDir: retention?.archive === undefined ? null : resolve(directory, retention.archive),
    },
    outbound: buildOutbound(row?.outbound, root, report),
    limits: {
      maxInputBytes: limits?.max_input_bytes ?? DEFAULT_ENGINE.limits.maxInputBytes,
      maxArtifactBytes: limits?.max_artifact_bytes ?? DEFAULT_ENGINE.limits.maxArtifactBytes,
      maxOutputBytes: limits?.max_output_bytes ?? DEFAULT_ENGINE.limits.maxOutputBytes,
      maxStages: limits?.max_stages ?? DEFAULT_ENGINE.limits.maxStages,
      maxTemplates: limits?.max_templates ?? DEFAULT_ENGINE.limits.maxTemplates,
    },
  };
}

function buildStore(url: string, directory: string, root: DocumentNode, report: Report): string {
  const store = resolveStoreUrl(url, directory);
  if (store.ok) return store.url;
  const path = ['engine', 'store'];
  const origin = originOf(root, path);
  const subject =
    origin !== null && 'variable' in origin
      ? `environment variable \`${origin.variable}\``
      : `store ${quoted(redactStoreUrl(url))}`;
  report.error({
    message: `${subject} ${store.reason}`,
    path,
    origin,
    expected: store.expected,
    hint: STORE_SCHEMES.includes(store.scheme) ? undefined : report.meant(store.scheme, STORE_SCHEMES),
  });
  return url;
}
