/** Stage `migrate`: brings the data to the version that the package needs, and keeps what it was. */
import { constants } from 'node:fs';
import { copyFile, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { agent, Permanent, packageOf, progress, readJson, writeJson } from './task.mjs';

/** The steps that a migration may consist of; each makes a new product of an old one. */
const STEPS = {
  add:
    ({ column, value }) =>
    (product) => ({ ...product, [column]: value }),
  rename:
    ({ column, to, times = 1 }) =>
    ({ [column]: value, ...rest }) => ({ ...rest, [to]: times === 1 ? value : Math.round(value * times) }),
};

function apply(products, { step, ...how }) {
  const make = STEPS[step];
  if (make === undefined) throw new Permanent(`there is no migration step \`${step}\``);
  return products.map(make(how));
}

function backupOf(task, file) {
  return `${file}.before-${task.workflow_id}`;
}

async function execute(task, site) {
  const file = join(site, 'data.json');
  // an attempt that comes after a broken one must not take the half-way state for the original
  await copyFile(file, backupOf(task, file), constants.COPYFILE_EXCL).catch((error) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const { dir } = packageOf(task);
  const data = await readJson(file);
  const names = (await readdir(join(dir, 'migrations'))).sort();
  const due = names.filter((name) => Number.parseInt(name, 10) > data.schema);
  for (const [index, name] of due.entries()) {
    progress(`applying ${name}`, index / due.length);
    const { steps } = await readJson(join(dir, 'migrations', name));
    for (const step of steps) data.products = apply(data.products, step);
    data.schema = Number.parseInt(name, 10);
    await writeJson(file, data);
  }
  const report = { schema: data.schema, applied: due };
  return { artifacts: [{ name: 'migration', kind: 'migration_report', content: report }], output: report };
}

async function compensate(task, site) {
  const file = join(site, 'data.json');
  await rename(backupOf(task, file), file).catch((error) => {
    // nothing was changed, or it is restored already
    if (error.code !== 'ENOENT') throw error;
  });
  progress('restored the data');
}

await agent({ execute, compensate });
