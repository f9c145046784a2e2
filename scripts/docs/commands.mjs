// @ts-check
import { loadCommands } from './load-commands.mjs';
import { cell, code, exitCodeTable, GENERATED, table } from './markdown.mjs';

/** Usage, description, flags, and examples of every command, as the program declares them. */
export async function commandsDocument(/** @type {(source: string) => Promise<any>} */ load) {
  const { program, commands } = await loadCommands(load);
  const sections = commands.map(groupSection);
  const help = program.createHelp();
  return `# Commands

${GENERATED}

\`jwtctl help <command>\` shows the same text in a terminal. \`key\`, \`user\`, and \`tokens\` work as aliases of the groups.
See [what \`keys rotate\` does](getting-started.md#what-keys-rotate-does), [server](server.md) for \`serve\`, and
[operations](operations.md) for the tasks that these commands are for.

${sections.join('\n')}
## Global flags

Global flags can stand before or after the command. Most [settings](configuration.md#settings) also have a flag.

${flagTable(help, help.flagsOf(program).global)}

- \`-q\` and \`--json\` do not hide warnings, such as one about a secret file that other users can read. They remain on stderr.
- A token or a file can be \`-\` for standard input, or \`@file\`. You never have to put a secret on the command line.
- To pass a value that starts with a dash, write \`--sub=-x\`, or put it after \`--\`.
- A duration is \`90s\`, \`15m\`, \`12h\`, \`30d\`, \`1h30m\`, or a number of seconds.
- Commands that end several tokens or cannot be undone ask for a confirmation: \`keys compromise\`, \`keys purge\`, \`users remove\`,
  \`token revoke\` with \`--all\`, \`--where\`, \`--kid\`, or \`--issued-before\`, \`cache flush\`, and \`audit prune\`. If they end tokens,
  the question says how many tokens of how many subjects. Without a terminal, they exit with 2 unless you pass \`--yes\`.

## Output

- Data goes to stdout, and everything else to stderr.
- Tables are for people: they fit the terminal, shorten long IDs, and leave out less important columns. With \`-o wide\` or in a
  pipe, they show every column and the full text.
- With \`--json\`, stdout is one JSON document, or empty if the command fails. An error is one JSON document on stderr:
  \`{"error":{"code":"ERR_…","message":"…","hint":"…"}}\`. [Errors](errors.md) lists the codes.
  Warnings are lines of text on stderr or, if the command fails, in the array \`diagnostics\` of that document.
- With \`-o ndjson\`, stdout is one JSON object per line, written as soon as it is available.
- JSON output has full IDs, and times as NumericDate seconds.
- A terminal gets colors, and a pipe does not. These override the default, in this order: \`--no-color\`, \`FORCE_COLOR\` (\`0\` or
  \`false\` turns colors off, an empty value is ignored, anything else turns them on), \`NO_COLOR\`, \`CLICOLOR_FORCE\`,
  \`TERM=dumb\`. JSON never has colors.

## Exit codes

${await exitCodeTable(load)}
`;
}

/** @param {any} group a group of verbs, or a command without verbs */
function groupSection(group) {
  const verbs = group.createHelp().visibleCommands(group);
  if (verbs.length === 0) return `## ${group.name()}\n\n${commandText(group)}`;
  const texts = verbs.map(
    (/** @type {any} */ verb) => `### ${group.name()} ${verb.name()}\n\n${commandText(verb)}`,
  );
  return `## ${group.name()}\n\n${group.description()}\n\n${texts.join('\n')}`;
}

/** @param {any} command */
function commandText(command) {
  const help = command.createHelp();
  const { own } = help.flagsOf(command);
  const args = command.registeredArguments.map((/** @type {any} */ one) => [
    code(one.name()),
    cell(one.description),
  ]);
  return `${[
    `\`\`\`text\n${help.commandUsage(command)}\n\`\`\``,
    command.description().replaceAll('<', '\\<'),
    ...(args.length === 0 ? [] : [table(['argument', 'meaning'], args)]),
    ...(own.length === 0 ? [] : [flagTable(help, own)]),
    `\`\`\`sh\n${command.exampleLines.join('\n')}\n\`\`\``,
  ].join('\n\n')}\n`;
}

/**
 * @param {any} help
 * @param {any[]} options
 */
function flagTable(help, options) {
  return table(
    ['flag', 'meaning'],
    options.map((option) => [code(help.optionTerm(option)), cell(help.optionDescription(option))]),
  );
}
