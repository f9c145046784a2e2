import type { Command } from 'commander';
import { ERROR_CODES, type ErrorCode } from '../../domain/shared/error-catalog/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { nearest } from '../../domain/shared/nearest.js';
import type { Action, DefineCommand } from '../invocation.js';
import { exitCodeOfKind } from '../output/exit-code.js';
import type { View } from '../output/view.js';

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];
const MOST_SUGGESTIONS = 5;

const MIGRATING: View = {
  shape: 'text',
  text: 'docs/migrating.md in the repository of jwtctl shows how to move a running application to jwtctl without logging anyone out.\n\n`jwtctl keys import --verify-only` imports the old keys, and `jwtctl token register --legacy` registers the live tokens.',
  data: { topic: 'migrating', guide: 'docs/migrating.md' },
};

/** Topics that a guide explains. */
const GUIDES: ReadonlyMap<string, View> = new Map([
  ['migrating', MIGRATING],
  ['migration', MIGRATING],
  ['legacy', MIGRATING],
]);

export const defineHelp: DefineCommand = (command, run) => {
  const help: Action<object, [string[]]> = async (_invocation, _flags, topic) => {
    const guide = GUIDES.get(topic.join(' ').toLowerCase());
    if (guide !== undefined) return { view: guide };
    const { TOPICS } = await import('../output/views/help-topics.js');
    const view = TOPICS.get(topic.join('-').toLowerCase());
    if (view !== undefined) return { view: view((await import('../../config/settings.js')).SETTINGS) };
    const described = findCommand(command.parent as Command, topic);
    if (described === undefined) return { view: errorEntry(topic.join(' ')) };
    described.outputHelp();
    return {};
  };
  command
    .argument(
      '[topic...]',
      'a command, an error code with or without ERR_, or one of exit-codes, environment, configuration, security, and migrating',
    )
    .examples('jwtctl help keys rotate', 'jwtctl help exit-codes', 'jwtctl help ERR_TOKEN_REVOKED')
    .action(run(help));
};

function findCommand(program: Command, words: readonly string[]): Command | undefined {
  return words.reduce<Command | undefined>(
    (parent, word) =>
      parent?.commands.find((command) => command.name() === word || command.aliases().includes(word)),
    program,
  );
}

function errorEntry(topic: string): View {
  const wanted = topic.toUpperCase().replace(/^(ERR_)?/, 'ERR_');
  const code = CODES.find((one) => one === wanted);
  if (code === undefined) throw unknownTopic(similarCodes(wanted));
  const { kind, meaning, remedy } = ERROR_CODES[code];
  const exitCode = exitCodeOfKind(kind);
  return {
    shape: 'text',
    text: `${code} (kind ${kind}, exit code ${exitCode})\n\n${meaning}\n${remedy}`,
    data: { code, kind, exitCode, meaning, remedy },
  };
}

/** Returns the code that `wanted` misspells, or up to five codes that share the most words with it. */
function similarCodes(wanted: string): string[] {
  const slip = nearest(wanted, CODES);
  if (slip !== null) return [slip];
  const words = new Set(wanted.split('_').slice(1));
  return CODES.map((code) => ({ code, shared: code.split('_').filter((word) => words.has(word)).length }))
    .filter(({ shared }) => shared > 0)
    .sort((one, other) => other.shared - one.shared)
    .slice(0, MOST_SUGGESTIONS)
    .map(({ code }) => code);
}

/** Does not repeat the topic, because it may be a token or a password. */
function unknownTopic(suggestions: string[]): JwtctlError {
  const meant = suggestions.length === 0 ? '' : `Did you mean ${suggestions.join(', ')}? `;
  return new JwtctlError('ERR_USAGE', 'The topic is not a command, an error code, or a topic of its own.', {
    hint: `${meant}Run \`jwtctl help\` to list the commands, or \`jwtctl help --help\` to list the topics.`,
    details: { suggestions },
  });
}
