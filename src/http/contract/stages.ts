/** What people say to stages that wait for them. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Instance } from './instances.js';
import { Digest, InstanceParams, WantedName } from './shapes.js';

const STAGE = `${API_PREFIX}/instances/:id/stages/:stage`;
const tag = 'stages';
const StageParams = InstanceParams.extend({ stage: WantedName });
const MAX_TEXT = 10_000;

export const approveStage = endpoint({
  method: 'POST',
  path: `${STAGE}/approve`,
  id: 'approveStage',
  tag,
  summary: 'approve a stage that waits for it',
  description: 'With `digest`, only if that is still what would be approved: `approval_drifted` otherwise.',
  params: StageParams,
  body: z.object({ comment: z.string().max(MAX_TEXT).optional(), digest: Digest.optional() }).prefault({}),
  answer: Instance,
});

export const rejectStage = endpoint({
  method: 'POST',
  path: `${STAGE}/reject`,
  id: 'rejectStage',
  tag,
  summary: 'reject a stage that waits for an approval, and take the instance back',
  params: StageParams,
  body: z.object({ reason: z.string().min(1).max(MAX_TEXT) }),
  answer: Instance,
});
