import type { Command, Option } from 'commander';
import { JwtctlError } from '../domain/shared/errors.js';
import { CliCommand } from './command.js';
import { GLOBAL_OPTIONS, SETTING_OPTIONS } from './globals.js';
import type { DefineCommand, Run } from './invocation.js';

interface Group {
  name: string;
  aliases: readonly string[];
  description: string;
  load(): Promise<readonly DefineCommand[]>;
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
      'Follow what happens to keys, tokens, and users, or deliver it to a command.\n\nEach event is one JSON object on a line.',
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
      'Print the statements that create an account with the least privileges.\n\nUses the names in the settings, and connects to no store.',
    load: async () => [(await import('./commands/init/index.js')).defineInit],
  },
  {
    name: 'status',
    aliases: [],
    description:
      'Show the state of the installation on one screen.\n\nCounts the live tokens, which reads the whole registry. Exits with 3 if something is not set up, 4 if a store cannot be reached, and 5 if only a part could be read.',
    load: async () => [(await import('./commands/status.js')).defineStatus],
  },
  {
    name: 'doctor',
    aliases: [],
    description:
      'Check the installation, and show how to fix each fault.\n\nRuns all checks in parallel, and changes nothing. Exits with 1 if a check finds an error.',
    load: async () => [(await import('./commands/doctor.js')).defineDoctor],
  },
  {
    name: 'metrics',
    aliases: [],
    description:
      'Print metrics of the installation for Prometheus.\n\nMade for the textfile collector of the node exporter. Counts the live tokens, which reads the whole registry. Exits with 5 if only a part could be read.',
    load: async () => [(await import('./commands/metrics.js')).defineMetrics],
  },
  {
    name: 'serve',
    aliases: [],
    description:
      'Serve verification, introspection, the JWK Set, and metrics over HTTP.\n\nRuns until SIGINT or SIGTERM.',
    load: async () => [(await import('./commands/serve.js')).defineServe],
  },
  {
    name: 'help',
    aliases: [],
    description: 'Explain a command, an error code, or a topic.',
    load: async () => [(await import('./commands/help.js')).defineHelp],
  },
];

/** Builds the command line for commander. Loads only the groups that `argv` calls. */
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
  for (const option of [...GLOBAL_OPTIONS, ...SETTING_OPTIONS]) program.addOption(option);

  const called = calledGroups(argv);
  for (const group of GROUPS) {
    const command = program.command(group.name).aliases(group.aliases).description(group.description);
    if (called.includes(group)) for (const define of await group.load()) define(command, run);
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

/** Finds the first word that is neither a flag nor a flag's value and, after `help`, also the next one. */
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
