/** Stage `provision`, roles `slot` and `settings`: a place of its own for this release, and how it is to run there. */
import { access, copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { agent, Permanent, packageOf, progress, writeJson } from './task.mjs';

const ROLES = {
  async slot(task, site) {
    const { version, dir } = packageOf(task);
    await access(dir).catch(() => {
      throw new Permanent(`there is no package of version ${version}`);
    });
    const slot = slotOf(task, site);
    await mkdir(slot, { recursive: true });
    // the first release of an environment brings the data that the shop opens with
    await copyFile('data/products.json', join(site, 'data.json'), 1 /* COPYFILE_EXCL */).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
    progress(`reserved ${slot}`);
    return { artifacts: [{ name: 'slot', kind: 'environment', content: { dir: slot, version } }] };
  },

  async settings(task, site) {
    const { version } = packageOf(task);
    const slot = slotOf(task, site);
    await mkdir(slot, { recursive: true });
    const settings = { environment: task.labels.env ?? 'staging', version, currency: 'EUR' };
    await writeJson(join(slot, 'settings.json'), settings);
    return { artifacts: [{ name: 'settings', kind: 'configuration', content: settings }] };
  },
};

/** By the instance's id, so that a repeated attempt finds its own slot and nobody else's. */
function slotOf(task, site) {
  return join(site, 'slots', task.workflow_id);
}

await agent({
  execute: (task, site) => ROLES[task.role](task, site),
  async compensate(task, site) {
    await rm(slotOf(task, site), { recursive: true, force: true });
    progress('removed the slot');
  },
});
