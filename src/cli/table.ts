/** Tables without borders: a dim head and aligned columns. Cells must be clean already. */
import Table from 'cli-table3';
import type { Palette } from './palette.js';

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export function tableLines(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  colors: Palette,
): string[] {
  const table = new Table({
    head: head.map((title) => colors.dim(title)),
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
