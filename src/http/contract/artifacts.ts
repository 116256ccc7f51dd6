/** What instances have made. */
import { z } from 'zod';
import { API_PREFIX, endpoint } from './endpoint.js';
import { Artifact } from './instances.js';
import { Digest, InstanceParams } from './shapes.js';

const tag = 'artifacts';

export const listArtifacts = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/instances/:id/artifacts`,
  id: 'listArtifacts',
  tag,
  summary: 'list what an instance has made, in the order in which it was made',
  params: InstanceParams,
  answer: z.object({ artifacts: z.array(Artifact) }),
});

export const getContent = endpoint({
  method: 'GET',
  path: `${API_PREFIX}/instances/:id/content/:digest`,
  id: 'getContent',
  tag,
  summary: 'content that an instance refers to: an artifact, its input, a log',
  description:
    'Content never changes, so its `ETag` is its digest. A `Range` of bytes is answered with status 206. Never shown inline by browsers.',
  params: InstanceParams.extend({ digest: Digest }),
  answer: 'application/octet-stream',
});
