import type { Context } from '../../../app/context.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { describeEnd } from '../../../domain/shared/last-day.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT, exitCodeOfKind } from '../../output/exit-code.js';
import { configVerdict } from '../../output/views/config.js';
import { checkDatabase, checkRegistry } from '../shared/store-checks.js';

export const defineValidate: DefineCommand = (group, run) => {
  group
    .command('validate')
    .description(
      'Check the settings and the files that they name.\n\nConnects to MySQL and Redis only with --connect. Exits with 2 if a setting is wrong, 3 if a store is not set up, and 4 if a store cannot be reached.',
    )
    .option('--connect', 'also open both stores, run the commands in settings, and try users.*')
    .examples('jwtctl config validate', 'jwtctl config validate --connect --json')
    .action(run(validate));
};

const validate: Action<{ connect?: true }, []> = async ({ configSources, context }, { connect = false }) => {
  const { validateConfig } = await import('../../../config/show-config.js');
  const verdict = await validateConfig(configSources);
  const problems = [...verdict.problems];
  const warnings = [...verdict.warnings];
  const opened: string[] = [];
  if (problems.length === 0) {
    const usable = await context({ migratesEmbedded: false });
    warnings.push(...dateWarnings(usable));
    for (const check of checksOf(usable, connect)) {
      const problem = await problemOf(check.run);
      if (problem === null) opened.push(...(check.opens ?? []));
      else if (problems.every(({ message }) => message !== problem.message)) problems.push(problem);
    }
  }
  const [first] = problems;
  return {
    view: configVerdict({ ...verdict, problems, warnings }, connect ? opened : null),
    exitCode: first === undefined ? EXIT.done : exitCodeOfKind(first.kind),
  };
};

interface Check {
  /** For people: `MySQL`. */
  opens?: string[];
  run(): Promise<unknown>;
}

function checksOf(context: Context, connect: boolean): Check[] {
  const { settings } = context;
  const isEmbedded = settings.mysql.url === null;
  const hasCommand = settings.masterKey.command !== null;
  return [
    ...(connect || !hasCommand ? [{ run: context.checkKeyring }] : []),
    ...(connect
      ? [
          { opens: [isEmbedded ? 'the embedded store' : 'MySQL'], run: () => checkDatabase(context) },
          {
            opens: settings.users.source === 'table' ? ['the user table'] : [],
            run: () => checkUsers(context),
          },
          { opens: isEmbedded ? [] : ['Redis'], run: () => checkRegistry(context) },
        ]
      : []),
  ];
}

async function checkUsers(context: Context): Promise<void> {
  await checkDatabase(context);
  await (await context.usersWithClaims()).check?.();
}

async function problemOf(check: () => Promise<unknown>): Promise<JwtctlError | null> {
  try {
    await check();
    return null;
  } catch (error) {
    if (error instanceof JwtctlError) return error;
    throw error;
  }
}

function dateWarnings({ settings, clock }: Context): string[] {
  const { acceptLegacy } = settings.token;
  if (acceptLegacy === null || clock.now() < acceptLegacy) return [];
  return [
    `token.acceptLegacy ended ${describeEnd(acceptLegacy)}, so tokens registered with --legacy are refused. Set a later date, or remove the setting.`,
  ];
}
