import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openProgress } from '../../src/output/progress.js';

let drawn = '';
const stream = Object.assign(
  new Writable({
    write: (chunk, _encoding, done) => {
      drawn += chunk;
      done();
    },
  }),
  { isTTY: true, columns: 120 },
);

beforeEach(() => {
  drawn = '';
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

/** What has been drawn since, without what moves the cursor. */
function shown(): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is left out
  const text = drawn.replace(/\u001b\[\??[0-9;]*[A-Za-z]/g, '');
  drawn = '';
  return text;
}

test('with a total it shows a bar, how many of how many, the rate and the time that is left', () => {
  const progress = openProgress('issuing', { stream });
  vi.advanceTimersByTime(1_000);
  progress.update(2_000, 10_000);
  vi.advanceTimersByTime(1_000);
  progress.update(4_000, 10_000, '3 failed');
  vi.advanceTimersByTime(300);
  const text = shown();
  expect(text).toContain('issuing ████████░░░░░░░░░░░░ 40%, 4,000 of 10,000, 2,000/s, 3s left, 3 failed');
  progress.stop();
});

test('without a total it shows how many, and the rate', () => {
  const progress = openProgress('importing', { stream });
  vi.advanceTimersByTime(2_000);
  progress.update(500, null);
  vi.advanceTimersByTime(300);
  expect(shown()).toContain('importing 500, 250/s');
  progress.stop();
});

test('a total that was too small gives way to what is done', () => {
  const progress = openProgress('issuing', { stream });
  vi.advanceTimersByTime(1_000);
  progress.update(120, 100);
  vi.advanceTimersByTime(300);
  expect(shown()).toContain('100%, 120 of 120');
  progress.stop();
});

test('it is drawn a few times a second, however often it is updated, and stops for good', () => {
  const progress = openProgress('issuing', { stream });
  shown();
  for (let done = 1; done <= 1_000; done++) {
    vi.advanceTimersByTime(1);
    progress.update(done, 1_000);
  }
  expect(shown().split('issuing').length).toBeLessThan(12);
  progress.stop();
  // The line is cleared, and the cursor is there again.
  expect(drawn).toContain('\u001b[?25h');
  drawn = '';
  progress.update(2_000, 2_000);
  progress.clear();
  vi.advanceTimersByTime(5_000);
  expect(drawn).toBe('');
});
