import { Command, Help, type Option } from 'commander';
import { JwtctlError } from '../domain/shared/errors.js';
import { GLOBAL_OPTIONS, SETTING_OPTIONS } from './globals.js';
import type { DefineCommand, Run } from './invocation.js';

/** A group of verbs, or a command that stands by itself. */
interface Group {
  name: string;
  aliases: readonly string[];
  summary: string;
  /** Loads the group's verbs: only for the group that is called. */
  load(): Promise<readonly DefineCommand[]>;
}

const GROUPS: readonly Group[] = [
  {
    name: 'keys',
    aliases: ['key'],
    summary: 'signing keys: make, import, rotate, retire, compromise, export',
    load: async () => (await import('./commands/keys/index.js')).verbs,
  },
  {
    name: 'users',
    aliases: ['user'],
    summary: 'users: add, import, disable, enable, remove',
    load: async () => (await import('./commands/users/index.js')).verbs,
  },
  {
    name: 'token',
    aliases: ['tokens'],
    summary: 'tokens: issue, register, decode, verify, list, revoke',
    load: async () => (await import('./commands/token/index.js')).verbs,
  },
  {
    name: 'cache',
    aliases: [],
    summary: 'the registry of live tokens: inspect, flush, nodes',
    load: async () => (await import('./commands/cache/index.js')).verbs,
  },
  {
    name: 'db',
    aliases: [],
    summary: 'the database schema: migrate, status',
    load: async () => (await import('./commands/db/index.js')).verbs,
  },
  {
    name: 'config',
    aliases: [],
    summary: 'the configuration: show, path, validate',
    load: async () => (await import('./commands/config/index.js')).verbs,
  },
  {
    name: 'serve',
    aliases: [],
    summary: 'answer proxies and services over HTTP: verify, introspect, JWK Set, metrics',
    load: async () => [(await import('./commands/serve.js')).defineServe],
  },
  {
    name: 'help',
    aliases: [],
    summary: 'explain a command or an error code',
    load: async () => [(await import('./commands/help.js')).defineHelp],
  },
];

/** The command line as commander knows it. Of the groups only the one that `argv` calls is loaded. */
export async function buildProgram(argv: readonly string[], run: Run, write: WriteHelp): Promise<Command> {
  const program = new Command('jwtctl')
    .description('Operates JWT authentication: signing keys, users, tokens and the registry of live tokens.')
    .exitOverride()
    .configureOutput({ writeOut: write.out, writeErr: write.err, outputError: () => {} })
    .configureHelp({ optionDescription: describeOption, showGlobalOptions: true })
    .helpOption('-h, --help', 'show help')
    .option('--version', 'print the version')
    .addHelpText(
      'after',
      '\nEvery setting has a variable, and most have a flag: see `jwtctl config show --json`.\n',
    );
  for (const option of [...GLOBAL_OPTIONS, ...SETTING_OPTIONS]) program.addOption(option);

  const called = calledGroups(argv);
  for (const group of GROUPS) {
    const command = program.command(group.name).aliases(group.aliases).description(group.summary);
    if (called.includes(group)) for (const define of await group.load()) define(command, run);
  }
  refuseRepetition(program);
  return program;
}

/** Commander does not say which options a command cannot do without. */
function describeOption(option: Option): string {
  const description = Help.prototype.optionDescription(option);
  return option.mandatory ? `${description} (required)` : description;
}

/** Of a value that is given twice commander takes the last: who revokes `--sub a --sub b` would believe that a is cut off. */
function refuseRepetition(command: Command): void {
  for (const option of command.options) {
    const takesOneValue = (option.required || option.optional) && !addsUp(option);
    if (!takesOneValue) continue;
    let isGiven = false;
    command.on(`option:${option.name()}`, () => {
      if (isGiven) throw givenTwice(option);
      isGiven = true;
    });
  }
  for (const subcommand of command.commands) refuseRepetition(subcommand);
}

/** Its parser takes what came before as well. */
function addsUp({ parseArg }: Option): boolean {
  return parseArg !== undefined && parseArg.length > 1;
}

function givenTwice(option: Option): JwtctlError {
  return new JwtctlError('ERR_FLAG_REPEATED', `${option.long} is given twice, and it takes one value.`, {
    hint: 'Run the command once for each value.',
  });
}

export interface WriteHelp {
  out(text: string): void;
  err(text: string): void;
}

/** The first word that is neither a flag nor a flag's value; if it is `help`, also the word that follows. */
function calledGroups(argv: readonly string[]): readonly Group[] {
  const withValue = new Set(
    [...GLOBAL_OPTIONS, ...SETTING_OPTIONS]
      .filter((option) => option.required)
      .flatMap((option) => [option.short, option.long]),
  );
  const called: Group[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    if (withValue.has(word)) index++;
    else if (!word.startsWith('-')) {
      const group = GROUPS.find(({ name, aliases }) => name === word || aliases.includes(word));
      if (group !== undefined) called.push(group);
      if (group?.name !== 'help') break;
    }
  }
  return called;
}
