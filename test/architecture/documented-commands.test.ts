import type { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';
import { consoleCommands, DOCUMENTS, fencedBlocks, jwtctlCalls, readDocument } from '../support/documents.js';

/** Looks like a command: how the key of the audit log's hashes is derived (HKDF). */
const KEY_DERIVATION_INFO = 'jwtctl audit log';

const calls = DOCUMENTS.flatMap((document) => {
  const text = readDocument(document);
  const blocks = [
    ...fencedBlocks(text, 'sh', 'crontab'),
    ...fencedBlocks(text, 'console').flatMap((block) => consoleCommands(block).map(({ command }) => command)),
  ];
  const mentions = [...text.matchAll(/`(jwtctl [^`[<…]+)`/g)]
    .map(([, mention]) => mention as string)
    .filter((mention) => mention !== KEY_DERIVATION_INFO);
  const callsIn = (shell: string, isMention: boolean) =>
    jwtctlCalls(shell).map((argv) => ({ document, argv, isMention, line: argv.join(' ') }));
  return [
    ...blocks.flatMap((block) => callsIn(block, false)),
    ...mentions.flatMap((mention) => callsIn(mention.replaceAll('\n', ' '), true)),
  ];
});

/** A mention in the text, such as `jwtctl users add`, may leave out what the command needs. */
const INCOMPLETE = ['commander.missingArgument', 'commander.missingMandatoryOptionValue'];

test('commands are found in the text and in blocks', () => {
  expect(calls.map(({ line }) => line)).toEqual(
    expect.arrayContaining(['keys rotate', 'db migrate', 'db recover']),
  );
});

test.each(calls)('$document: the program knows `jwtctl $line`', async ({ argv, isMention }) => {
  const program = await buildProgram(argv, () => async () => {}, { out: () => {}, err: () => {} });
  await program.parseAsync(argv, { from: 'user' }).catch((error: CommanderError) => {
    // Help: also for --version, which is left to `main`.
    const isHelp = error.exitCode === 0 || error.code === 'commander.help';
    if (!isHelp && !(isMention && INCOMPLETE.includes(error.code))) throw error;
  });
});
