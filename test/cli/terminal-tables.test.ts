import stringWidth from 'string-width';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runOnTerminal } from '../support/pseudo-terminal.js';
import { openStores, type Stores } from '../support/stores.js';

const LONG_SUB = `${'first.last+department'.repeat(4)}@example.com`;

/** The tables that are wider than 80 columns in a pipe, and how many rows they have. */
const TABLES = [
  { words: ['keys', 'list'], rows: 4, dropped: 'BITS', kept: ['KID', 'STATE', 'SIGNS', 'VERIFIES UNTIL'] },
  { words: ['keys', 'usage'], rows: 4, dropped: 'FIRST ENDS', kept: ['KID', 'TOKENS', 'RETIRABLE FROM'] },
  { words: ['token', 'list', '--sub', 'alice'], rows: 3, dropped: null, kept: ['JTI', 'EXPIRES', 'META'] },
  { words: ['users', 'list'], rows: 2, dropped: null, kept: ['SUB', 'NAME', 'STATUS'] },
];

describe('a table on a terminal', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('SQLite');
    for (let count = 0; count < 4; count++) await stores.json('keys', 'generate');
    await stores.json('users', 'add', LONG_SUB, '--name', 'A Name That Is Fairly Long As Names Go');
    for (const device of ['a phone', 'a tablet', 'a computer with a long name']) {
      const words = ['token', 'issue', '--sub', 'alice', '--create-user', '--meta', `device=${device}`];
      await stores.json(...words, '--meta', 'address=2001:db8:85a3:8d3:1319:8a2e:370:7348');
    }
  });
  afterAll(() => stores?.close());

  const linesOf = async (columns: number, ...words: string[]) => {
    const { exitCode, output } = await runOnTerminal(
      { env: stores.env, cwd: stores.home, columns },
      [],
      ...words,
      '--no-color',
    );
    expect(exitCode, output).toBe(0);
    const lines = output.split('\r\n').filter((line) => line !== '');
    const first = lines.findIndex((line) => /^(KID|JTI|SUB)\b/.test(line));
    return lines.slice(first);
  };

  for (const { words, rows, dropped, kept } of TABLES) {
    test.each([80, 140])(`${words.join(' ')} fits %i columns, with one line per row`, async (columns) => {
      const lines = await linesOf(columns, ...words);
      expect(lines).toHaveLength(rows + 1);
      for (const line of lines) expect(stringWidth(line), line).toBeLessThanOrEqual(columns);
      for (const name of kept) expect(lines[0]).toContain(name);
      if (columns === 80 && dropped !== null) expect(lines[0]?.split(/ {2,}/)).not.toContain(dropped);
    });

    test(`${words.join(' ')} -o wide shows what a pipe gets`, async () => {
      const wide = await linesOf(80, ...words, '-o', 'wide');
      const piped = (await stores.run(...words)).lines();
      const from = piped.length - rows - 1;
      const ids = (lines: readonly string[]) => lines.map((line) => line.split(/ {2,}/)[0]);
      expect(wide[0]?.split(/ {2,}/)).toEqual(piped[from]?.split(/ {2,}/));
      expect(ids(wide)).toEqual(ids(piped.slice(from)));
      expect(wide.join('')).not.toContain('…');
    });
  }
});
