import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../../src/cli/program.js';
import { cli } from '../../support/cli.js';

const COLUMNS = 80;
const { run } = cli();

const helpOf = async (...words: string[]) => (await run(...words, '--help')).stdout;
const programOf = (...argv: string[]) =>
  buildProgram(argv, () => async () => {}, { out: () => {}, err: () => {} });

const groups = (await programOf()).commands.map((command) => command.name());
const verbs: string[][] = [];
for (const group of groups) {
  const command = (await programOf(group)).commands.find((one) => one.name() === group);
  const names = command?.commands.map((verb) => verb.name()) ?? [];
  verbs.push(...(names.length === 0 ? [[group]] : names.map((name) => [group, name])));
}

test('finds every command', () => {
  expect(verbs.length).toBeGreaterThan(35);
});

test.each(verbs)('%s %s shows its own flags and two examples before the global flags', async (...words) => {
  const path = words.filter((word) => word !== undefined);
  const help = await helpOf(...path);
  const titles = [...help.matchAll(/^(Usage|Arguments|Flags|Examples|Global flags):/gm)].map(
    ([, title]) => title,
  );

  expect(titles.filter((title) => title !== 'Arguments' && title !== 'Flags')).toEqual([
    'Usage',
    'Examples',
    'Global flags',
  ]);
  expect(help.match(/^ {2}\$ /gm)?.length).toBeGreaterThanOrEqual(2);
  expect(help).toMatch(new RegExp(`^Usage: jwtctl ${path.join(' ')}( .*)?\\[flags\\]\n\n[A-Z][^\n]*`));
});

test.each(groups.map((group) => [group]))('%s lists each verb on one line', async (group) => {
  const list = (await helpOf(group)).split('\n\n').find((part) => part.startsWith('Commands:\n'));
  const lines = (list ?? '').split('\n').slice(1);
  const expected = verbs.filter((words) => words[0] === group && words.length === 2);

  expect(lines.map((line) => line.trim().split(' ')[0])).toEqual(expected.map(([, verb]) => verb));
  expect(lines.filter((line) => line.length > COLUMNS)).toEqual([]);
});

describe('without a verb', () => {
  test.each([[[]], [['keys']], [['tokens']]])('%j prints help on stdout and exits with 0', async (words) => {
    const { exitCode, stdout, stderr } = await run(...words);

    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toBe(await helpOf(...words));
  });

  test('a group with --json is an error, because help is not a JSON document', async () => {
    const { exitCode, stdout, error } = await run('keys', '--json');

    expect({ exitCode, stdout, code: error().code }).toEqual({ exitCode: 2, stdout: '', code: 'ERR_USAGE' });
  });
});
