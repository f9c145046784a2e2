import { describe, expect, test } from 'vitest';
import { pastedToken } from '../../src/cli/commands/shared/pasted-token.js';
import { TOKENS } from '../../src/cli/commands/token/register.js';
import { formOfHeader } from '../../src/cli/input/csv-header.js';
import { pemLabels, readPemBlocks } from '../../src/domain/key-files/pem.js';
import { assertExactNumbers } from '../../src/domain/shared/json-numbers.js';
import { requestToken } from '../../src/http/token-in-request.js';
import { cpuMs } from '../support/cpu-time.js';

/** Linear code takes a few milliseconds; code whose time grows with the square takes many seconds. */
const BOUND_MS = 2_000;

const T = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln';

describe('a long text is read in linear time', () => {
  test.each([
    ['equals signs', `x ${'='.repeat(60_000)} x`],
    ['encoded equals signs', `${'%3D'.repeat(20_000)}x`],
    ['commas', ','.repeat(60_000)],
    ['nested quotes', `'"`.repeat(15_000) + `"'`.repeat(15_000)],
    ['words before a token', 'token '.repeat(10_000)],
    ['line breaks after a token', `see ${T} ${'\n'.repeat(60_000)}.`],
    ['tokens', `${T} `.repeat(1_400)],
  ])('pasted: %s', (_, text) => {
    expect(cpuMs(() => pastedToken(text))).toBeLessThan(BOUND_MS);
  });

  test('the header of a CSV', () => {
    const columns = { required: ['sub'], optional: [] } as const;
    const line = `a${' '.repeat(60_000)}b`;
    expect(cpuMs(() => formOfHeader(line, columns))).toBeLessThan(BOUND_MS);
  });

  test.each([
    ['letters', 'a'.repeat(64_000)],
    ['line breaks', '\n'.repeat(64_000)],
    ['carriage returns', '\r'.repeat(64_000)],
  ])('the beginning of a file of tokens: %s', (_, text) => {
    expect(cpuMs(() => TOKENS.form.test(text))).toBeLessThan(BOUND_MS);
  });

  const numbered = (index: number) => `-----BEGIN K${index}-----\n`;
  test.each([
    ['blocks without an end', '-----BEGIN KEY-----\n'.repeat(30_000)],
    ['blocks of other kinds', Array.from({ length: 30_000 }, (_, index) => numbered(index)).join('')],
    ['quotes', `-----BEGIN KEY-----\n${'"'.repeat(300_000)}x\n-----END KEY-----`],
    ['spaces', `-----BEGIN KEY-----\nx${' '.repeat(300_000)}x\n-----END KEY-----`],
    ['spaces before a line', `-----BEGIN KEY-----\n${' '.repeat(300_000)}x\n-----END KEY-----`],
    ['backslashes', `-----BEGIN KEY-----\n${'\\'.repeat(300_000)}x\n-----END KEY-----`],
  ])('a PEM file: %s', (_, text) => {
    const work = () => [readPemBlocks(text), pemLabels(text)];
    expect(cpuMs(work)).toBeLessThan(BOUND_MS);
  });

  test('a number with many zeros', () => {
    const json = `{"n":0.1${'0'.repeat(60_000)}1}`;
    const work = () => {
      expect(() => assertExactNumbers(json, 'The line')).toThrow();
    };
    expect(cpuMs(work)).toBeLessThan(BOUND_MS);
  });

  test('an Authorization header and a cookie', () => {
    const spaces = ' '.repeat(60_000);
    const headers = { authorization: `Bearer a${spaces}b`, cookie: `t=a${spaces}b` };
    expect(cpuMs(() => requestToken({ headers, rawHeaders: [] }, 't'))).toBeLessThan(BOUND_MS);
  });
});

describe('a PEM file', () => {
  test('gives the same blocks as before', () => {
    const block = (label: string, body: string) =>
      `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----`;
    const labels = (text: string) => readPemBlocks(text).map(({ label, der }) => [label, der?.toString()]);
    const a = Buffer.from('aaaa').toString('base64');
    expect(labels(`${block('A', a)}\n${block('B', a)}`)).toEqual([
      ['A', 'aaaa'],
      ['B', 'aaaa'],
    ]);
    expect(labels(`${block('A', a)}${block('B', a)}`).map(([label]) => label)).toEqual(['A', 'B']);
    expect(labels(`-----BEGIN A-----\n${block('B', a)}`)).toEqual([['B', 'aaaa']]);
    expect(labels(`-----END A-----\n${block('A', a)}`)).toEqual([['A', 'aaaa']]);
    expect(labels('-----BEGIN A-----END A-----')).toEqual([]);
    expect(labels(block('A', `  + "${a}" + \\`))).toEqual([['A', 'aaaa']]);
  });
});
