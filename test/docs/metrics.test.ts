/** docs/operating/metrics.md lists what is counted; alerts and dashboard name nothing else. Write the page anew with `-u`. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MetricDescription } from '../../src/observe/meters.js';
import { Metrics } from '../../src/observe/metrics.js';
import { ROOT, readText } from '../tidy/source.js';
import { tableNames, withTables } from './config-tables.js';

const PAGE = 'docs/operating/metrics.md';

let known: readonly MetricDescription[] = [];
beforeAll(() => {
  const metrics = new Metrics();
  const queue = () => ({ tasks: 0, oldestMs: 0, inFlight: 0 });
  const store = () => ({ commits: 0, journalRows: 0, journalBytes: 0 });
  metrics.begin({ counts: [], openLetters: 0 }, { queue, store, agents: () => [], shared: () => [] });
  known = metrics.describe();
});

function tableOf(metrics: readonly MetricDescription[]): string {
  const rows = metrics.map(({ name, help, type, labels: names }) => {
    const labels = names.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${labels} | ${help.endsWith('.') ? help : `${help}.`} |`;
  });
  return ['| name | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** Names of metrics in an expression, those of a histogram's series by the histogram's. */
function namesIn(expression: string): string[] {
  const found = expression.match(/\b(?:vapora|nodejs|process)_[a-z0-9_]+/g) ?? [];
  return found.map((name) => {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    return known.some((metric) => metric.name === base && metric.type === 'histogram') ? base : name;
  });
}

function unknownIn(expressions: readonly string[]): string[] {
  const names = new Set(known.map(({ name }) => name));
  return expressions.flatMap(namesIn).filter((name) => !names.has(name));
}

describe('docs/operating/metrics.md', () => {
  it('lists each metric with its type, labels and meaning', async () => {
    const { text } = readText(PAGE);
    const ours = known.filter(({ name }) => name.startsWith('vapora_'));
    const others = known.filter(({ name }) => !name.startsWith('vapora_'));
    expect(ours.length).toBeGreaterThan(25);
    expect(tableNames(text)).toEqual(['metrics', 'process']);
    const tables = new Map([
      ['metrics', tableOf(ours)],
      ['process', tableOf(others)],
    ]);
    await expect(withTables(text, tables)).toMatchFileSnapshot(join(ROOT, PAGE));
  });
});

describe('deploy/prometheus/alerts.yml', () => {
  const { text } = readText('deploy/prometheus/alerts.yml');
  const alerts = [...text.matchAll(/^ {6}- alert: (\w+)$/gm)].map(([, name = '']) => name);

  it('names metrics that there are', () => {
    const expressions = [...text.matchAll(/^ {8}expr: (.+)$/gm)].map(([, expression = '']) => expression);
    expect(expressions).toHaveLength(alerts.length);
    expect(unknownIn(expressions)).toEqual([]);
    expect(unknownIn(['vapora_no_such_thing > 1'])).toEqual(['vapora_no_such_thing']);
  });

  it('has a runbook for each alert, and the runbooks have an alert each', () => {
    const page = readText('docs/operating/runbooks.md').text;
    const sections = page.split(/^## /m).slice(1);
    expect(sections.map((section) => section.split('\n')[0])).toEqual(alerts);
    for (const section of sections) {
      expect(section).toContain('**What it means.**');
      expect(section).toContain('**What to do.**');
    }
    const links = [...text.matchAll(/runbook: "docs\/operating\/runbooks\.md#(\w+)"/g)].map(
      ([, anchor]) => anchor,
    );
    expect(links).toEqual(alerts.map((name) => name.toLowerCase()));
  });
});

describe('deploy/grafana/vapora.json', () => {
  it('names metrics that there are, and shows each of ours', () => {
    const dashboard = JSON.parse(readText('deploy/grafana/vapora.json').text);
    const panels = dashboard.panels as { targets: { expr: string }[] }[];
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(unknownIn(expressions)).toEqual([]);
    const shown = new Set(expressions.flatMap(namesIn));
    expect(
      known.map(({ name }) => name).filter((name) => name.startsWith('vapora_') && !shown.has(name)),
    ).toEqual([]);
  });
});
