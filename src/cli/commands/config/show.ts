import type { Action, DefineCommand } from '../../invocation.js';
import { settingList } from '../../output/views/config.js';

export const defineShow: DefineCommand = (group, run) => {
  group
    .command('show')
    .description('Show every setting with its value and source.\n\nSecrets are masked.')
    .examples('jwtctl config show', 'jwtctl config show --profile staging --json')
    .action(run(show));
};

const show: Action<object, []> = async ({ config, caution }) => {
  const [{ showConfig }, { namedFileFaults }] = await Promise.all([
    import('../../../config/show-config.js'),
    import('../../../config/check-settings.js'),
  ]);
  const loaded = await config();
  const faults = await namedFileFaults(loaded.settings, caution);
  for (const { message, hint } of faults) caution(`${message} ${hint ?? ''}`);
  return { view: settingList(showConfig(loaded)) };
};
