/** What `deploy/` holds fits the project, and systemd takes the unit. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, readText } from '../tidy/source.js';

const UNIT = join(ROOT, 'deploy', 'vapora.service');
const analyze = (...words: readonly string[]) =>
  spawnSync('systemd-analyze', [...words, UNIT], { encoding: 'utf8' });
/** Earlier ones can't judge a unit that is not installed. */
const FIRST_OFFLINE = 250;

describe('deploy/vapora.service', () => {
  it('is a unit that systemd understands, and lets the server do little', () => {
    const { stdout } = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
    expect(
      Number(/^systemd (\d+)/.exec(stdout ?? '')?.[1] ?? 0),
      `this test needs \`systemd-analyze\` of systemd ${FIRST_OFFLINE} or later: \`apt-get install systemd\``,
    ).toBeGreaterThanOrEqual(FIRST_OFFLINE);
    const verified = analyze('verify', '--recursive-errors=no');
    // whether the machine has the program and the user is another matter
    const said = verified.stderr.split('\n').filter((line) => line.includes('vapora.service:'));
    expect(
      said.filter((line) => !/is not executable|Unknown user|user .* does not exist/i.test(line)),
    ).toEqual([]);
    const judged = analyze('security', '--offline=true', '--threshold=25', '--no-pager');
    expect([judged.status, judged.stdout.trim().split('\n').at(-1)]).toEqual([0, expect.any(String)]);
  });

  it('gives the server more time to stop than it gives its agents', () => {
    const { text } = readText('deploy/vapora.service');
    const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
    expect(number(/^TimeoutStopSec=(\d+)$/m)).toBeGreaterThan(number(/--grace (\d+)$/m) + 10);
    expect(text).toContain('ExecStart=/usr/bin/env vapora serve ');
  });
});

describe('deploy/Dockerfile', () => {
  const { text } = readText('deploy/Dockerfile');
  const lines = text.split('\n');

  it('runs the Node that the package asks for, without rights, and never as root', () => {
    const { engines } = JSON.parse(readText('package.json').text);
    const [, major] = /^>=(\d+)\./.exec(engines.node) ?? [];
    const bases = [...text.matchAll(/^FROM node:(\d+)-slim/gm)].map(([, base]) => base);
    expect(bases).toEqual([major, major]);
    const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
    expect(last.indexOf('USER node')).toBeGreaterThan(0);
    expect(last.findIndex((line) => line.startsWith('USER'))).toBe(
      last.findLastIndex((line) => line.startsWith('USER')),
    );
  });

  it('copies what there is, and all that the package needs at run time', () => {
    const copied = [...text.matchAll(/^COPY --from=build \/build\/(\S+) /gm)].map(([, path = '']) => path);
    const made = ['dist', 'node_modules'];
    for (const path of copied) expect(made.includes(path) || existsSync(join(ROOT, path)), path).toBe(true);
    const { files } = JSON.parse(readText('package.json').text);
    const notNeeded = ['examples', 'deploy', 'README.md', 'CHANGELOG.md', 'LICENSE'];
    expect(copied.toSorted()).toEqual(
      [
        ...files.filter((file: string) => !notNeeded.includes(file)),
        'node_modules',
        'package.json',
      ].toSorted(),
    );
  });

  it('keeps the working copy and its secrets out of the build', () => {
    const ignored = readText('.dockerignore').text.split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', '**/.vapora', 'node_modules', '.env*']));
  });
});
