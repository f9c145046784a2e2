import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';
import { temporaryFolder } from '../support/cli.js';
import {
  consoleCommands,
  DOCUMENTS,
  fencedBlocks,
  jwtctlCalls,
  ROOT,
  readDocument,
} from '../support/documents.js';

/** Looks like a command, but is the HKDF label of the audit log's key. */
const KEY_DERIVATION_INFOS = [
  'jwtctl audit log',
  'jwtctl refresh token encryption',
  'jwtctl refresh token nonce',
];

const calls = DOCUMENTS.flatMap((document) => {
  const text = readDocument(document);
  const blocks = [
    ...fencedBlocks(text, 'sh', 'crontab'),
    ...fencedBlocks(text, 'console').flatMap((block) => consoleCommands(block).map(({ command }) => command)),
  ];
  const mentions = [...text.matchAll(/`(jwtctl [^`[<…]+)`/g)]
    .map(([, mention]) => mention as string)
    .filter((mention) => !KEY_DERIVATION_INFOS.includes(mention));
  const callsIn = (shell: string, isMention: boolean) =>
    jwtctlCalls(shell).map((argv) => ({ document, argv, isMention, line: argv.join(' ') }));
  return [
    ...blocks.flatMap((block) => callsIn(block, false)),
    ...mentions.flatMap((mention) => callsIn(mention.replaceAll('\n', ' '), true)),
  ];
});

/** A mention in the text, such as `jwtctl users add`, may omit arguments. */
const INCOMPLETE = ['commander.missingArgument', 'commander.missingMandatoryOptionValue'];

test('finds commands in text and in each kind of block', () => {
  expect(calls.map(({ line }) => line)).toEqual(
    expect.arrayContaining(['keys rotate', 'token verify -', 'serve --workers 2', 'db recover']),
  );
});

test.each(calls)('$document: the program knows `jwtctl $line`', async ({ argv, isMention }) => {
  const program = await buildProgram(argv, () => async () => {}, { out: () => {}, err: () => {} });
  await program.parseAsync(argv, { from: 'user' }).catch((error: CommanderError) => {
    // --version too returns help here, because `main` handles it.
    const isHelp = error.exitCode === 0 || error.code === 'commander.help';
    if (!isHelp && !(isMention && INCOMPLETE.includes(error.code))) throw error;
  });
});

test('the first steps of the README print the shown output', () => {
  const [block = ''] = fencedBlocks(readDocument('README.md'), 'console');
  const steps = consoleCommands(block);
  expect(steps.length).toBeGreaterThan(5);
  const shown = transcript(steps.map(({ command }) => command));
  for (const [index, { command, output }] of steps.entries())
    expect(comparable(shown[index] ?? ''), command).toMatch(patternOf(output));
});

/** Runs the commands in one shell over an empty embedded store, and returns what each printed. */
function transcript(commands: readonly string[]): string[] {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'bin'));
  symlinkSync(join(ROOT, 'bin/jwtctl.js'), join(folder, 'bin/jwtctl'));
  // The mark must keep the exit code for the next command.
  const marked = commands.map((command) => `status=$?; echo @@; (exit $status); ${command}`);
  const printed = execFileSync('bash', ['-c', ['exec 2>&1', ...marked].join('\n')], {
    cwd: folder,
    env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, HOME: folder, TMPDIR: folder },
    encoding: 'utf8',
  });
  return printed.split(/^@@\n/m).slice(1);
}

function patternOf(output: readonly string[]): RegExp {
  const lines = output.map((line) =>
    line === '…' ? '(?:.*\\n)*' : `${comparable(line).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\n`,
  );
  return new RegExp(`^${lines.join('')}$`);
}

/** Removes the line about the store, and replaces ids and times. */
function comparable(text: string): string {
  return text
    .replace(/^Using the embedded store .*\n/gm, '')
    .replace(/\b(?:\d{10}|in \w+) \(.*?\)/g, 'TIME')
    .replace(/(?<![\w-])[\w-]{43}(?![\w-])/g, 'KID')
    .replace(/(?<![\w-])[\w-]{22}(?![\w-])/g, 'JTI');
}
