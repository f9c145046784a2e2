import type { Context } from '../../../app/context.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT, exitCodeOfKind } from '../../output/exit-code.js';
import { configVerdict } from '../../output/views/config.js';

export const defineValidate: DefineCommand = (group, run) => {
  group
    .command('validate')
    .description(
      'Check the settings and the files that they name.\n\nConnects to MySQL and Redis only with --connect. Exits with 2 if a setting is wrong, and with 4 if a store cannot be reached.',
    )
    .option('--connect', 'also open both stores, run the commands in settings, and try users.*')
    .examples('jwtctl config validate', 'jwtctl config validate --connect --json')
    .action(run(validate));
};

const validate: Action<{ connect?: true }, []> = async ({ configSources, context }, { connect = false }) => {
  const { validateConfig } = await import('../../../config/show-config.js');
  const verdict = await validateConfig(configSources);
  const problems = [...verdict.problems];
  if (problems.length === 0) problems.push(...(await problemsOf(checksOf(await context(), connect))));
  const [first] = problems;
  return {
    view: configVerdict({ ...verdict, problems }, connect),
    exitCode: first === undefined ? EXIT.done : exitCodeOfKind(first.kind),
  };
};

function checksOf(context: Context, connect: boolean): Array<() => Promise<unknown>> {
  const { settings, clock } = context;
  const hasCommand = settings.masterKey.command !== null;
  return [
    ...(connect || !hasCommand ? [context.checkKeyring] : []),
    ...(connect ? [() => checkUsers(context), () => checkRegistry(context, clock.now())] : []),
  ];
}

/** Opens the database too. */
async function checkUsers(context: Context): Promise<void> {
  await context.database();
  await (await context.users()).check?.();
}

async function checkRegistry(context: Context, now: number): Promise<void> {
  // Any token, known or not, is asked for in the same way.
  await (await context.registry()).tokenStatus('jwtctl', { jti: 'jwtctl', keyId: 0, iat: now }, now);
}

async function problemsOf(checks: ReadonlyArray<() => Promise<unknown>>): Promise<JwtctlError[]> {
  const problems = new Map<string, JwtctlError>();
  for (const check of checks) {
    await check().catch((error: unknown) => {
      if (!(error instanceof JwtctlError)) throw error;
      problems.set(error.message, error);
    });
  }
  return [...problems.values()];
}
