import { expect, it } from 'vitest';
import { LabelBook } from './label-book.js';

it('knows as many values as it may, and calls the rest `other`', () => {
  const book = new LabelBook(2);
  expect(['a', 'b', 'c', 'a', 'd', 'b'].map((value) => book.of(value))).toEqual([
    'a',
    'b',
    'other',
    'a',
    'other',
    'b',
  ]);
});
