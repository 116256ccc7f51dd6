import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { VaporaError } from '../../core/errors.js';
import { blobsOf } from '../../core/instance.js';
import type { App, ServerContext } from '../context.js';
import { getContent, listArtifacts } from '../contract/artifacts.js';
import type { Artifact } from '../contract/instances.js';
import { toWire } from '../contract/wire.js';
import { addRoute } from '../routing.js';
import { readInstance } from './instances.js';
import { parseRange } from './range.js';

export function artifactRoutes(app: App, context: ServerContext): void {
  const { api } = context;
  addRoute(app, listArtifacts, async ({ params, identity }) => {
    await readInstance(context, identity, params.id);
    const artifacts = await api.artifacts(params.id);
    return { artifacts: toWire(artifacts) as z.output<typeof Artifact>[] };
  });
  addRoute(app, getContent, async ({ params, identity, request, reply }) => {
    const instance = await readInstance(context, identity, params.id);
    const ref = blobsOf(instance).find(({ digest }) => digest === params.digest);
    if (ref === undefined) {
      throw new VaporaError(
        'artifact_unknown',
        `instance \`${params.id}\` refers to no content \`${params.digest.slice(0, 12)}\``,
      );
    }
    const tag = `"${ref.digest}"`;
    reply.headers({
      etag: tag,
      'accept-ranges': 'bytes',
      'cache-control': 'private, max-age=31536000, immutable',
    });
    if (request.headers['if-none-match'] === tag) return reply.code(304).send();
    return sendBytes(reply, await api.content(params.id, ref), request.headers.range);
  });
}

function sendBytes(reply: FastifyReply, bytes: Uint8Array, asked: string | undefined): FastifyReply {
  reply.type('application/octet-stream').header('content-disposition', 'attachment');
  const range = parseRange(asked, bytes.byteLength);
  if (range === null) return reply.send(Buffer.from(bytes));
  if (range === 'unsatisfiable') {
    return reply.code(416).header('content-range', `bytes */${bytes.byteLength}`).send();
  }
  const { first, last } = range;
  return reply
    .code(206)
    .header('content-range', `bytes ${first}-${last}/${bytes.byteLength}`)
    .send(Buffer.from(bytes.subarray(first, last + 1)));
}
