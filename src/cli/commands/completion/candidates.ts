import type { Command, Option } from 'commander';
import type { GlobalValues } from '../../globals.js';

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What only the configuration or the store can tell. */
export type Source = 'kids' | 'subjects' | 'profiles';

/** Reads candidates from a source. `prefix` is what the user has typed. */
export type Read = (source: Source, prefix: string) => Promise<readonly Candidate[]>;

/** By the name of an argument or of a flag's value. */
const SOURCES: Readonly<Record<string, Source>> = { kid: 'kids', sub: 'subjects' };

const ASSIGNED = /^(--[a-z-]+)=(.*)$/s;

/**
 * Returns what can stand in place of the last word of a command line, or `files` for the name of a file.
 *
 * @param program has the commands that `words` call
 * @param reader gets the global flags among the words
 */
export async function candidatesFor(
  program: Command,
  words: readonly string[],
  reader: (values: GlobalValues) => Read,
): Promise<readonly Candidate[] | 'files'> {
  const current = words.at(-1) ?? '';
  const { command, option, args, values } = positionOf(program, words.slice(0, -1));
  const read = reader(values);
  if (option !== null) return valuesOf(option, '', current, read);
  const [, flag, typed = ''] = ASSIGNED.exec(current) ?? [];
  const assigned = flag === undefined ? undefined : findOption(command, flag);
  if (assigned !== undefined) return valuesOf(assigned, `${flag}=`, typed, read);
  if (current.startsWith('-')) return matching(flagsOf(command), current);
  if (command.commands.length > 0) return args === 0 ? matching(commandsOf(command), current) : [];
  const { registeredArguments } = command;
  const argument = registeredArguments[args] ?? registeredArguments.findLast(({ variadic }) => variadic);
  if (argument === undefined) return [];
  if (argument.name() === 'topic') return matching([...commandsOf(program), ...(await topics())], current);
  return named(argument.name(), argument.argChoices, current, read);
}

/** Finds the command of the words, the flag whose value comes next, the number of arguments, and the global flags. */
function positionOf(program: Command, words: readonly string[]) {
  let command = program;
  let option: Option | null = null;
  let args = 0;
  const values: GlobalValues = {};
  const keep = (given: Option | undefined, value: string) => {
    if (given !== undefined && program.options.includes(given)) values[given.attributeName()] = value;
  };
  for (const word of words) {
    const [, flag, value] = ASSIGNED.exec(word) ?? [];
    if (option !== null) {
      keep(option, word);
      option = null;
    } else if (flag !== undefined && value !== undefined) keep(findOption(command, flag), value);
    else if (word.startsWith('-')) option = findOption(command, word) ?? null;
    else {
      const called = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (called === undefined) args++;
      else command = called;
    }
    if (option !== null && !option.required) option = null;
  }
  return { command, option, args, values };
}

function findOption(command: Command, flag: string): Option | undefined {
  const found = command.options.find(({ short, long }) => short === flag || long === flag);
  return found ?? (command.parent === null ? undefined : findOption(command.parent, flag));
}

async function valuesOf(option: Option, before: string, typed: string, read: Read) {
  const name = option.long === '--profile' ? 'profile' : (/<(.+)>/.exec(option.flags)?.[1] ?? '');
  const found = await named(name, option.argChoices, typed, read);
  return found === 'files' ? found : found.map((one) => ({ ...one, value: `${before}${one.value}` }));
}

async function named(
  name: string,
  choices: readonly string[] | undefined,
  typed: string,
  read: Read,
): Promise<readonly Candidate[] | 'files'> {
  if (choices !== undefined) return matching(choices.map(plain), typed);
  if (name === 'file') return 'files';
  const source = name === 'profile' ? 'profiles' : SOURCES[name];
  return source === undefined ? [] : matching(await read(source, typed), typed);
}

async function topics(): Promise<readonly Candidate[]> {
  const [{ ERROR_CODES }, { TOPICS }] = await Promise.all([
    import('../../../domain/shared/error-catalog/index.js'),
    import('../../output/views/help-topics.js'),
  ]);
  return [...TOPICS.keys(), ...Object.keys(ERROR_CODES)].map(plain);
}

function commandsOf(command: Command): Candidate[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((one) => ({ value: one.name(), description: firstSentence(one.description()) }));
}

function flagsOf(command: Command): Candidate[] {
  const help = command.createHelp();
  return [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)].map(
    ({ long, short, description }) => ({
      value: long ?? short ?? '',
      description: firstSentence(description),
    }),
  );
}

function firstSentence(description: string): string {
  return (description.split('\n')[0] ?? '').replace(/\.$/, '');
}

function plain(value: string): Candidate {
  return { value, description: '' };
}

function matching(candidates: readonly Candidate[], typed: string): readonly Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(typed));
}
