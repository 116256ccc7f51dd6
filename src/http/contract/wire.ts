/**
 * Between what the engine says and what goes over the wire: the same facts, keys in snake_case, times in ISO 8601. One rule for
 * everything, so that the two can be turned into each other.
 */
import type { InstanceArtifact } from '../../core/api.js';
import type { EventRecord } from '../../core/events.js';
import type { WorkflowInstance } from '../../core/instance.js';
import { asInstanceId } from '../../core/names.js';
import type { InstanceSummary } from '../../core/ports.js';

/** JSON of agents and labels of people: theirs to the letter. */
const FOREIGN = new Set(['output', 'value', 'labels']);

/** Keys that stand on the wire as they stand in the engine. */
const AS_THEY_ARE = new Set(['workflow_id']);

function wireKey(key: string): string {
  if (key === 'status') return 'state';
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function engineKey(key: string): string {
  if (key === 'state') return 'status';
  if (AS_THEY_ARE.has(key)) return key;
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The value as it goes over the wire. */
export function toWire(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toWire);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]: [string, unknown]) => {
      if (FOREIGN.has(key)) return [key, inner];
      const isTime = (key === 'at' || key.endsWith('At')) && typeof inner === 'number';
      return [wireKey(key), isTime ? new Date(inner).toISOString() : toWire(inner)];
    }),
  );
}

/** What {@link toWire} was given. */
export function fromWire(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromWire);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]: [string, unknown]) => {
      if (FOREIGN.has(key)) return [key, inner];
      const isTime = (key === 'at' || key.endsWith('_at')) && typeof inner === 'string';
      return [engineKey(key), isTime ? Date.parse(inner) : fromWire(inner)];
    }),
  );
}

export function instanceToWire(instance: WorkflowInstance): Record<string, unknown> {
  const { id, templateName, labels, ...rest } = instance;
  const fields = toWire(rest) as Record<string, unknown>;
  return { workflow_id: id, workflow: templateName, labels: Object.fromEntries(labels), ...fields };
}

export function instanceFromWire(wire: unknown): WorkflowInstance {
  const { workflow_id, workflow, labels, ...rest } = wire as Record<string, unknown>;
  const fields = fromWire(rest) as Omit<WorkflowInstance, 'id' | 'templateName' | 'labels'>;
  return {
    ...fields,
    id: asInstanceId(String(workflow_id)),
    templateName: String(workflow),
    labels: Object.entries(labels as Record<string, string>).sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}

export function summaryToWire(summary: InstanceSummary): Record<string, unknown> {
  const { id, template, ...rest } = summary;
  return { workflow_id: id, workflow: template, ...(toWire(rest) as object) };
}

export function summaryFromWire(wire: unknown): InstanceSummary {
  const { workflow_id, workflow, ...rest } = wire as Record<string, unknown>;
  const fields = fromWire(rest) as Omit<InstanceSummary, 'id' | 'template'>;
  return { ...fields, id: asInstanceId(String(workflow_id)), template: String(workflow) };
}

export function eventToWire(event: EventRecord): Record<string, unknown> {
  return toWire(event) as Record<string, unknown>;
}

export function eventFromWire(wire: unknown): EventRecord {
  return fromWire(wire) as EventRecord;
}

export function artifactFromWire(wire: unknown): InstanceArtifact {
  return fromWire(wire) as InstanceArtifact;
}
