import type { Command, Option } from 'commander';
import { JwtctlError } from '../domain/shared/errors.js';
import { CliCommand } from './command.js';
import { GLOBAL_OPTIONS } from './globals.js';
import type { DefineCommand, Run, Verbs } from './invocation.js';

interface Group {
  name: string;
  aliases: readonly string[];
  description: string;
  /** The verbs of a group, or a command without verbs. */
  load(): Promise<Verbs | DefineCommand>;
}

const GROUPS: readonly Group[] = [
  {
    name: 'keys',
    aliases: ['key'],
    description: 'Manage signing keys.',
    load: async () => (await import('./commands/keys/index.js')).verbs,
  },
  {
    name: 'users',
    aliases: ['user'],
    description:
      'Manage users.\n\nThe commands that change users require that jwtctl manages them (users.source: managed, the default).',
    load: async () => (await import('./commands/users/index.js')).verbs,
  },
  {
    name: 'token',
    aliases: ['tokens'],
    description: 'Issue, verify, and revoke tokens.',
    load: async () => (await import('./commands/token/index.js')).verbs,
  },
  {
    name: 'cache',
    aliases: [],
    description:
      'Inspect and maintain the registry of live tokens.\n\nThe registry is in Redis or, without Redis, in the embedded store.',
    load: async () => (await import('./commands/cache/index.js')).verbs,
  },
  {
    name: 'db',
    aliases: [],
    description:
      'Migrate the database schema, and recover changes lost when the database was restored from a backup.',
    load: async () => (await import('./commands/db/index.js')).verbs,
  },
  {
    name: 'audit',
    aliases: [],
    description: 'Show, verify, export, and prune the audit log.',
    load: async () => (await import('./commands/audit/index.js')).verbs,
  },
  {
    name: 'events',
    aliases: ['event'],
    description:
      'Follow changes of keys, tokens, and users, or deliver them to a command.\n\nEach event is one JSON object on a line.',
    load: async () => (await import('./commands/events/index.js')).verbs,
  },
  {
    name: 'config',
    aliases: [],
    description: 'Show and check the configuration.',
    load: async () => (await import('./commands/config/index.js')).verbs,
  },
  {
    name: 'init',
    aliases: [],
    description:
      'Set up jwtctl: write the configuration file, and create the master key and the schema.\n\nAsks for each setting, and tries each connection. The flag of a setting, such as --mysql-url, takes the place of its question. Passwords are typed without being shown, or come from --mysql-password-file and --redis-password-file. Running it again offers the present values.',
    load: async () => (await import('./commands/init/index.js')).defineInit,
  },
  {
    name: 'status',
    aliases: [],
    description:
      'Show the state of the installation on one screen.\n\nCounts the live tokens, which reads the whole registry. Exits with 3 if something is not set up, 4 if a store cannot be reached, and 5 if only a part could be read.',
    load: async () => (await import('./commands/status.js')).defineStatus,
  },
  {
    name: 'doctor',
    aliases: [],
    description:
      'Check the installation, and show how to fix each fault.\n\nRuns all checks in parallel, and changes nothing. Exits with 1 if a check finds an error.',
    load: async () => (await import('./commands/doctor.js')).defineDoctor,
  },
  {
    name: 'metrics',
    aliases: [],
    description:
      'Print metrics of the installation for Prometheus.\n\nMade for the textfile collector of the node exporter. Reads the whole registry to count the live tokens. Exits with 5 if only a part could be read.',
    load: async () => (await import('./commands/metrics.js')).defineMetrics,
  },
  {
    name: 'serve',
    aliases: [],
    description:
      'Serve verification, introspection, the JWK Set, and metrics over HTTP.\n\nRuns until SIGINT or SIGTERM.',
    load: async () => (await import('./commands/serve.js')).defineServe,
  },
  {
    name: 'completion',
    aliases: [],
    description:
      'Print a script that completes command lines in a shell.\n\nAlso completes key IDs, subjects, and profiles, if the store answers within 300 ms. Subjects come from users.source: the users that jwtctl manages, or your own table. Key IDs and subjects are left out if a password or the master key comes from a command.',
    load: async () => (await import('./commands/completion/index.js')).defineCompletion,
  },
  {
    name: 'help',
    aliases: [],
    description: 'Explain a command, an error code, or a topic.',
    load: async () => (await import('./commands/help.js')).defineHelp,
  },
];

/** Builds the command line for commander. Loads only the commands that `argv` calls. */
export async function buildProgram(argv: readonly string[], run: Run, write: WriteHelp): Promise<CliCommand> {
  const program = new CliCommand('jwtctl')
    .description('Operate JWT authentication: signing keys, users, tokens, and the registry of live tokens.')
    .exitOverride()
    .configureOutput({ writeOut: write.out, writeErr: write.err, outputError: () => {} })
    .helpOption('-h, --help', 'show help')
    .option('-V, --version', 'print the version')
    .addHelpText(
      'after',
      '\nRun `jwtctl help <command>` to see the flags of a command.\nRun `jwtctl config show` to see all settings.\n',
    );
  const options = [...GLOBAL_OPTIONS, ...(await settingOptions(argv))];
  for (const option of options) program.addOption(option);

  const called = calledCommands(argv, options);
  for (const group of GROUPS) {
    const command = program.command(group.name).aliases(group.aliases).description(group.description);
    if (called.group !== group && called.about !== group.name) continue;
    for (const define of await definitions(await group.load(), called.verb)) define(command, run);
  }
  refuseRepetition(program);
  return program;
}

/** Commander would use the last value: `token revoke --sub a --sub b` would revoke only the tokens of b. */
function refuseRepetition(command: Command): void {
  for (const option of command.options) {
    const takesOneValue = (option.required || option.optional) && !isRepeatable(option);
    if (!takesOneValue) continue;
    let isGiven = false;
    command.on(`option:${option.name()}`, () => {
      if (isGiven) throw givenTwice(option);
      isGiven = true;
    });
  }
  for (const subcommand of command.commands) refuseRepetition(subcommand);
}

function isRepeatable({ parseArg }: Option): boolean {
  return parseArg !== undefined && parseArg.length > 1;
}

function givenTwice(option: Option): JwtctlError {
  return new JwtctlError('ERR_FLAG_REPEATED', `${option.long} is given twice, but takes one value.`);
}

export interface WriteHelp {
  out(text: string): void;
  err(text: string): void;
}

/** Loads the verb that is called. Help and suggestions need all verbs of the group. */
async function definitions(
  verbs: Verbs | DefineCommand,
  called: string | undefined,
): Promise<readonly DefineCommand[]> {
  if (typeof verbs === 'function') return [verbs];
  const load = called === undefined || !Object.hasOwn(verbs, called) ? undefined : verbs[called];
  return Promise.all((load === undefined ? Object.values(verbs) : [load]).map((one) => one()));
}

interface Called {
  group: Group | undefined;
  verb: string | undefined;
  /** The command that comes first, if the words are only what it is about. */
  about: 'help' | 'completion' | null;
}

/** Finds the first two words that are neither a flag nor a flag's value; after `help` or `completion SHELL`, the next two. */
function calledCommands(argv: readonly string[], options: readonly Option[]): Called {
  const withValue = new Set(
    options.filter((option) => option.required).flatMap((option) => [option.short, option.long]),
  );
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    if (withValue.has(word)) index++;
    else if (!word.startsWith('-')) words.push(word);
  }
  const about = words[0] === 'help' || words[0] === 'completion' ? words[0] : null;
  const [name = '', verb] = words.slice(about === null ? 0 : about === 'help' ? 1 : 2);
  return { group: GROUPS.find((group) => [group.name, ...group.aliases].includes(name)), verb, about };
}

/** The flags of settings are many, so they are only declared if a flag is given that is not global. */
async function settingOptions(argv: readonly string[]): Promise<readonly Option[]> {
  const known = new Set(['--help', '--version', ...GLOBAL_OPTIONS.map(({ long }) => long)]);
  const isUnknown = (word: string) => word.startsWith('--') && !known.has(word.replace(/=.*$/s, ''));
  return argv.some(isUnknown) ? (await import('./setting-options.js')).SETTING_OPTIONS : [];
}
