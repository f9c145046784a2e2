import { ERROR_CODES, type ErrorCode } from '../../domain/shared/error-catalog/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { nearest } from '../../domain/shared/nearest.js';
import type { Action, DefineCommand } from '../invocation.js';
import { exitCodeOfKind } from '../output/exit-code.js';
import type { View } from '../output/view.js';

type CliCommand = Parameters<DefineCommand>[0];

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
    const { found, unknown } = findCommand(command.parent as CliCommand, topic);
    if (unknown === null) {
      found.outputHelp();
      return {};
    }
    const wanted = topic
      .join(' ')
      .toUpperCase()
      .replace(/^(ERR_)?/, 'ERR_');
    const code = CODES.find((one) => one === wanted);
    if (code !== undefined) return { view: errorEntry(code) };
    const similar = [
      found.meantCommand(unknown),
      nearest(topic.join('-'), [...TOPICS.keys(), ...GUIDES.keys()]),
    ];
    throw unknownTopic([...similar.flatMap(helpOn), ...similarCodes(wanted, similar.some(Boolean))]);
  };
  command
    .argument(
      '[topic...]',
      'a command, an error code with or without ERR_, or one of exit-codes, environment, configuration, security, and migrating',
    )
    .examples('jwtctl help keys rotate', 'jwtctl help exit-codes', 'jwtctl help ERR_TOKEN_REVOKED')
    .action(run(help));
};

/** Follows the words to a command, up to the first one that is unknown. */
function findCommand(program: CliCommand, words: readonly string[]) {
  let found = program;
  for (const word of words) {
    const next = found.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next === undefined) return { found, unknown: word };
    found = next as CliCommand;
  }
  return { found, unknown: null };
}

function errorEntry(code: ErrorCode): View {
  const { kind, meaning, remedy } = ERROR_CODES[code];
  const exitCode = exitCodeOfKind(kind);
  return {
    shape: 'text',
    text: `${code} (kind ${kind}, exit code ${exitCode})\n\n${meaning}\n${remedy}`,
    data: { code, kind, exitCode, meaning, remedy },
  };
}

/** `keys export --jwks` is explained by the help of `keys export`. */
function helpOn(topic: string | null): string[] {
  const words = topic?.split(' ').filter((word) => !word.startsWith('-')) ?? [];
  return words.length === 0 ? [] : [`\`jwtctl help ${words.join(' ')}\``];
}

/** Returns the code that `wanted` misspells. If nothing else is similar, up to five codes that share the most words. */
function similarCodes(wanted: string, isElsewhere: boolean): string[] {
  const slip = nearest(wanted, CODES);
  if (slip !== null || isElsewhere) return slip === null ? [] : [slip];
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
