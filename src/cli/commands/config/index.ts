import type { Action, DefineGroup } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { configFileList, configVerdict, settingList } from '../../output/views/config.js';
import { examples } from '../shared/examples.js';

export const defineConfig: DefineGroup = (group, run) => {
  group
    .command('show')
    .description('show every setting with its value and where that comes from; secrets are masked')
    .addHelpText('after', examples('jwtctl config show', 'jwtctl config show --profile staging --json'))
    .action(run(show));

  group
    .command('path')
    .description('list the files that are looked for, the strongest first')
    .addHelpText('after', examples('jwtctl config path', 'jwtctl config path -q'))
    .action(run(path));

  group
    .command('validate')
    .description(
      'check the settings, and that the files they name can be read; connects to nothing; exits 2 where something is wrong',
    )
    .addHelpText('after', examples('jwtctl config validate', 'jwtctl config validate --json'))
    .action(run(validate));
};

const show: Action<object, []> = async ({ config, caution }) => {
  const [{ showConfig }, { namedFileFaults }] = await Promise.all([
    import('../../../config/show.js'),
    import('../../../config/checks.js'),
  ]);
  const loaded = await config();
  const faults = await namedFileFaults(loaded.settings, caution);
  for (const { message, hint } of faults) caution(`${message} ${hint ?? ''}`);
  return { view: settingList(showConfig(loaded)) };
};

const path: Action<object, []> = async ({ configSources }) => {
  const { readConfig } = await import('../../../config/load.js');
  return { view: configFileList((await readConfig(configSources)).config.files) };
};

const validate: Action<object, []> = async ({ configSources }) => {
  const { validateConfig } = await import('../../../config/show.js');
  const verdict = await validateConfig(configSources);
  return { view: configVerdict(verdict), exitCode: verdict.problems.length === 0 ? EXIT.done : EXIT.usage };
};
