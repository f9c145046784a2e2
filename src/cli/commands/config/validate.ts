import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { configVerdict } from '../../output/views/config.js';
import { examples } from '../shared/examples.js';

export const defineValidate: DefineCommand = (group, run) => {
  group
    .command('validate')
    .description(
      'check the settings, and that the files they name can be read; connects to nothing; exits 2 where something is wrong',
    )
    .addHelpText('after', examples('jwtctl config validate', 'jwtctl config validate --json'))
    .action(run(validate));
};

const validate: Action<object, []> = async ({ configSources }) => {
  const { validateConfig } = await import('../../../config/show.js');
  const verdict = await validateConfig(configSources);
  return { view: configVerdict(verdict), exitCode: verdict.problems.length === 0 ? EXIT.done : EXIT.usage };
};
