import { expect, test } from 'vitest';
import { inPlace } from '../../../src/cli/output/live.js';

test('writes each text over the previous one in one write, and clears the rest of longer lines', () => {
  const draw = inPlace(() => 24);
  expect(draw('one\ntwo\n')).toBe('\x1b[2J\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J');
  expect(draw('three\n')).toBe('\x1b[Hthree\x1b[K\n\x1b[J');
});

test('cuts a text that is taller than the terminal, and shows the number of missing lines', () => {
  let height = 4;
  const draw = inPlace(() => height);
  const text = '1\n2\n3\n4\n';
  expect(draw(text).match(/.*\n/g)).toHaveLength(3);
  expect(draw(text)).toBe('\x1b[H1\x1b[K\n2\x1b[K\n… 2 more lines\x1b[K\n\x1b[J');
  height = 5;
  expect(draw(text)).not.toContain('more');
});
