import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, realpath, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { readArtifactFile } from './command-artifacts.js';
import { ProtocolError } from './outcome.js';

let base: string;
let workdir: string;
let cwd: string;

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'vapora-test-')));
  workdir = join(base, 'work');
  cwd = join(base, 'cwd');
  await Promise.all([mkdir(workdir), mkdir(cwd)]);
  await writeFile(join(base, 'secret'), 'hush');
});

const read = async (path: string, maxBytes = 1_000) =>
  Buffer.from(await readArtifactFile(path, [workdir, cwd], maxBytes)).toString('utf8');

const refused = async (path: string) => {
  await expect(read(path)).rejects.toThrow(ProtocolError);
};

describe('an artifact path', () => {
  it('is looked for in the private directory, then in the working directory', async () => {
    await writeFile(join(cwd, 'a'), 'cwd');
    expect(await read('a')).toBe('cwd');
    await writeFile(join(workdir, 'a'), 'workdir');
    expect(await read('a')).toBe('workdir');
    expect(await read(join(cwd, 'a'))).toBe('cwd');
    await writeFile(join(cwd, '..a'), 'dots');
    expect(await read('..a')).toBe('dots');
  });

  it('may be empty, but not larger than allowed', async () => {
    await writeFile(join(cwd, 'a'), '');
    expect(await read('a')).toBe('');
    await writeFile(join(cwd, 'a'), 'x'.repeat(1_000));
    expect(await read('a')).toHaveLength(1_000);
    // sparse: it must be refused before it is read
    await truncate(join(cwd, 'a'), 2 ** 40);
    await expect(read('a')).rejects.toThrow('larger than the 1000 bytes');
  });

  it('may be a link that stays inside', async () => {
    await writeFile(join(cwd, 'a'), 'x');
    await symlink('a', join(cwd, 'link'));
    expect(await read('link')).toBe('x');
  });

  it('may not lead outside, by whatever way', async () => {
    await symlink('../secret', join(cwd, 'link'));
    await symlink(base, join(workdir, 'up'));
    for (const path of [
      '../secret',
      join(base, 'secret'),
      'link',
      'up/secret',
      '/etc/passwd',
      `${cwd}/../secret`,
    ]) {
      await expect(read(path)).rejects.toThrow('outside of its working directories');
    }
  });

  it('may not name what only begins like its directories', async () => {
    await mkdir(join(base, 'cwd2'));
    await writeFile(join(base, 'cwd2', 'a'), 'x');
    await refused('../cwd2/a');
  });

  it('may be nothing but a regular file', async () => {
    execFileSync('mkfifo', [join(cwd, 'pipe')]);
    await mkdir(join(cwd, 'dir'));
    await symlink('/dev/zero', join(cwd, 'device'));
    await symlink('loop', join(cwd, 'loop'));
    for (const path of [
      'pipe',
      'dir',
      'device',
      'loop',
      '',
      '.',
      '..',
      'missing',
      'a\0b',
      '/dev/zero',
      workdir,
    ]) {
      await refused(path);
    }
  });

  it('may not be one that says it is empty and is not', async () => {
    await expect(readArtifactFile('/proc/self/status', ['/proc'], 1_000)).rejects.toThrow(ProtocolError);
  });
});
