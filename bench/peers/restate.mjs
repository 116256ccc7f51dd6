// Restate, its server as it comes, on this machine: a handler with three durable steps, called through the ingress.
import * as restate from '@restatedev/restate-sdk';
import * as clients from '@restatedev/restate-sdk-clients';
import { ARTIFACT, measure } from './load.mjs';

// the library counts on it, and Node 20 does not have it yet
Promise.withResolvers ??= function withResolvers() {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const bench = restate.service({
  name: 'bench',
  handlers: {
    seq3: async (context) => {
      const one = await context.run('one', () => [ARTIFACT]);
      const two = await context.run('two', () => [...one, ARTIFACT].slice(-1));
      return context.run('three', () => [...two, ARTIFACT].slice(-1));
    },
  },
});
const port = await restate.serve({ services: [bench], port: 0 });
await register(`http://127.0.0.1:${port}`);
const client = clients.connect({ url: process.env.PEER_INGRESS }).serviceClient({ name: 'bench' });
await measure(() => client.seq3({ n: 1 }));

async function register(uri) {
  const answer = await fetch(`${process.env.PEER_ADMIN}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri }),
  });
  if (!answer.ok) throw new Error(`the server took no deployment: ${answer.status} ${await answer.text()}`);
}
