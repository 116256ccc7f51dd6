/** docs/concepts.md shows the tables that the code has. */
import { describe, expect, it } from 'vitest';
import {
  COMPENSATION_TRANSITIONS,
  INSTANCE_TRANSITIONS,
  STAGE_TRANSITIONS,
  TASK_TRANSITIONS,
} from '../../src/core/instance.js';
import { readText } from '../tidy/source.js';

const { text } = readText('docs/concepts.md');

/** The transition table of the section with this heading. */
function tableOf(heading: string): Record<string, string[]> {
  const section = text.split(`\n### ${heading}\n`)[1]?.split('\n#')[0] ?? '';
  const rows = [...section.matchAll(/^\| `(\w+)` \| (.+) \|$/gm)];
  return Object.fromEntries(
    rows.map(([, from = '', to = '']) => [from, to === 'the end' ? [] : to.replaceAll('`', '').split(', ')]),
  );
}

describe('the transition tables of docs/concepts.md', () => {
  it.each([
    ['Instance', INSTANCE_TRANSITIONS],
    ['Stage', STAGE_TRANSITIONS],
    ['Task', TASK_TRANSITIONS],
    ['Compensation', COMPENSATION_TRANSITIONS],
  ])('show the transitions of %s', (heading, transitions) => {
    expect(tableOf(heading)).toEqual(transitions);
  });
});
