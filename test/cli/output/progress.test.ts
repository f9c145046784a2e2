import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { openProgress } from '../../../src/cli/output/progress.js';

function terminal(columns: number) {
  const drawn: string[] = [];
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      drawn.push(String(chunk));
      done();
    },
  });
  Object.assign(stream, { isTTY: true, columns });
  const lines = () => drawn.map((text) => text.replace('\r\x1b[K', '')).filter((text) => text !== '');
  return { stream, drawn, lines };
}

test('shows the progress, the rate, and the remaining time', () => {
  const { stream, lines } = terminal(80);
  let nowMs = 0;
  const progress = openProgress('Reading', { stream }, () => nowMs);
  nowMs = 2_000;
  progress.update(4_096, 16_384, '', { unit: 'slots', yield: { count: 250_000, unit: 'tokens' } });
  progress.clear();
  expect(lines()[0]).toBe(
    `Reading ${'█'.repeat(5)}${'░'.repeat(15)}  4,096/16,384 slots, 125,000 tokens/s,     6s left`,
  );
});

test('keeps every part of the line in its place while the numbers change', () => {
  const { stream, lines } = terminal(100);
  let nowMs = 0;
  const progress = openProgress('Reading', { stream }, () => nowMs);
  for (const done of [1, 9, 90, 999, 1_000, 12_000, 16_384]) {
    nowMs += 20_000;
    progress.update(done, 16_384, '', { unit: 'slots', yield: { count: done * 700, unit: 'tokens' } });
  }
  progress.clear();
  const places = lines().map((line) =>
    ['/', ' slots', ' tokens/s', ' left'].map((part) => line.indexOf(part)),
  );
  expect(places).toHaveLength(7);
  expect(new Set(places.map(String)).size).toBe(1);
});

test('shows neither a bar nor the remaining time without a total', () => {
  const { stream, lines } = terminal(80);
  let nowMs = 0;
  const progress = openProgress('Issuing', { stream }, () => nowMs);
  nowMs = 4_000;
  progress.update(10_000, null, '', { unit: 'tokens' });
  progress.clear();
  expect(lines()[0]).toBe('Issuing    10,000 tokens,   2,500/s');
});

test('appends extra text, and clears the line for other output', () => {
  const { stream, drawn, lines } = terminal(80);
  let nowMs = 0;
  const progress = openProgress('Issuing', { stream }, () => nowMs);
  progress.clear();
  expect(drawn).toEqual([]);
  nowMs = 1_000;
  progress.update(500, 1_000, '3 failed');
  progress.clear();
  expect(drawn.at(-1)).toBe('\r\x1b[K');
  progress.clear();
  expect(lines()[0]).toMatch(/^Issuing █+░+ {3}500\/1,000, {5}500\/s, {5}1s left, 3 failed$/);
});

test('rounds an estimated total, so that it does not change all the time', () => {
  const { stream, lines } = terminal(80);
  let nowMs = 0;
  const progress = openProgress('Issuing', { stream }, () => nowMs);
  const counts = [
    [256, 21_592],
    [5_120, 20_577],
    [19_968, 19_968],
    [20_100, 20_044],
  ] as const;
  for (const [done, total] of counts) {
    nowMs += 1_000;
    progress.update(done, total, '', { isEstimated: true });
  }
  nowMs += 1_000;
  progress.update(20_200, 20_300, '', { isEstimated: false });
  progress.clear();
  expect(lines().map((line) => line.match(/[\d,]+\/~?[\d,]+(?=,)/)?.[0])).toEqual([
    ...['256/~22,000', '5,120/~21,000', '19,968/~20,000', '20,100/~20,100', '20,200/20,300'],
  ]);
});

test('leaves out whole facts on a narrow terminal', () => {
  const shown = [30, 40, 50].map((columns) => {
    const { stream, lines } = terminal(columns);
    let nowMs = 0;
    const progress = openProgress('issuing', { stream }, () => nowMs);
    nowMs = 1_000;
    progress.update(256, 20_000);
    progress.clear();
    return lines()[0];
  });
  expect(shown).toEqual([
    'issuing    256/20,000',
    'issuing    256/20,000,     256/s',
    'issuing    256/20,000,     256/s,  1m18s left',
  ]);
});

test('starts the rate and the remaining time over for a second walk', () => {
  const { stream, lines } = terminal(80);
  let nowMs = 0;
  const progress = openProgress('Removing', { stream }, () => nowMs);
  nowMs = 10_000;
  progress.update(100, 100, '', { unit: 'slots' });
  nowMs = 11_000;
  progress.update(1, 100, '', { unit: 'slots' });
  nowMs = 12_000;
  progress.update(50, 100, '', { unit: 'slots' });
  progress.clear();
  expect(lines().at(-1)).toContain(' 50/100 slots,      50/s,     1s left');
});

test.each([20, 40, 60])('fits a terminal of %i columns', (columns) => {
  const { stream, lines } = terminal(columns);
  let nowMs = 0;
  const progress = openProgress('Reading', { stream }, () => nowMs);
  nowMs = 1_000;
  progress.update(8_000, 16_384, '', { unit: 'slots', yield: { count: 1_000_000, unit: 'tokens' } });
  progress.clear();
  expect(lines()[0]?.length).toBeLessThan(columns);
});

test('shows nothing for a short operation, and leaves the terminal as it was', () => {
  const { stream, drawn } = terminal(80);
  let nowMs = 0;
  const quick = openProgress('Reading', { stream }, () => nowMs);
  nowMs = 100;
  quick.update(1, 2, '', { unit: 'slots' });
  quick.clear();
  expect(drawn).toEqual([]);

  const slow = openProgress('Reading', { stream }, () => nowMs);
  nowMs = 5_000;
  slow.update(1, 2, '', { unit: 'slots' });
  slow.clear();
  expect(drawn.join('')).not.toContain('\x1b[?');
  expect(drawn.at(-1)).toBe('\r\x1b[K');
});
