import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { configVerdict } from '../../output/views/config.js';

export const defineValidate: DefineCommand = (group, run) => {
  group
    .command('validate')
    .description(
      'Check the settings and the files that they name.\n\nDoes not connect to MySQL or Redis. Exits with 2 if something is wrong.',
    )
    .examples('jwtctl config validate', 'jwtctl config validate --json')
    .action(run(validate));
};

const validate: Action<object, []> = async ({ configSources }) => {
  const { validateConfig } = await import('../../../config/show.js');
  const verdict = await validateConfig(configSources);
  return { view: configVerdict(verdict), exitCode: verdict.problems.length === 0 ? EXIT.done : EXIT.usage };
};
