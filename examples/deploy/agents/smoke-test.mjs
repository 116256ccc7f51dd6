/** Stage `smoke-test`, roles `health-check` and `price-check`: asks the shop as its customers would. */

import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { agent, Permanent, packageOf, progress, readJson } from './task.mjs';

const PROBES = 5;
/** Milliseconds between two probes: a shop that answers once and then breaks is broken. */
const PROBE_GAP = 150;

const ROLES = {
  async 'health-check'(task, url) {
    const { version } = packageOf(task);
    for (let probe = 1; probe <= PROBES; probe++) {
      progress(`probe ${probe} of ${PROBES}`, probe / PROBES);
      const health = JSON.parse(await get(`${url}/health`));
      if (health.version !== version) throw new Permanent(`${health.version} is served, not ${version}`);
      await wait(PROBE_GAP);
    }
    return { checked: `${url}/health`, probes: PROBES, version };
  },

  async 'price-check'(_task, url) {
    const list = await get(`${url}/prices`);
    const lines = list.trim().split('\n');
    const wrong = lines.find((line) => !/^\S.* \d+\.\d\d EUR$/.test(line));
    if (wrong !== undefined) throw new Permanent(`the shop shows a wrong price: ${wrong}`);
    progress(`${lines.length} prices are right`);
    return { checked: `${url}/prices`, prices: lines };
  },
};

async function get(url) {
  const response = await fetch(url);
  const body = await response.text();
  if (!response.ok) throw new Permanent(`GET ${url} answered ${response.status}: ${body.trim()}`);
  return body;
}

await agent({
  async execute(task, site) {
    const { url } = await readJson('site/host.json');
    const result = await ROLES[task.role](task, `${url}/${basename(site)}`);
    return { artifacts: [{ name: task.role, kind: 'test_results', content: result }] };
  },
});
