/** Histories as they are kept, and whether they are as they were written. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Digest, InstanceParams } from './shapes.js';

const tag = 'audit';

export const verifyAudit = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/instances/:id/audit`,
  id: 'verifyAudit',
  tag,
  summary: 'verify the hash chain of an instance',
  params: InstanceParams,
  answer: z
    .object({
      workflow_id: z.string(),
      entries: z.int(),
      events: z.int(),
      head: Digest,
      broken: z.object({ revision: z.int(), reason: z.string() }).nullable(),
    })
    .meta({ id: 'AuditReport' }),
});

export const exportAudit = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/instances/:id/audit/entries`,
  id: 'exportAudit',
  tag,
  summary: 'the history as it is kept, hashes included, one JSON line an entry',
  description: 'Keys and times are as they were hashed: in camelCase, milliseconds since the epoch.',
  params: InstanceParams,
  answer: 'application/x-ndjson',
});
