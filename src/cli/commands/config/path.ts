import type { Action, DefineCommand } from '../../invocation.js';
import { configFileList } from '../../output/views/config.js';

export const definePath: DefineCommand = (group, run) => {
  group
    .command('path')
    .description('List the configuration files, highest precedence first.')
    .examples('jwtctl config path', 'jwtctl config path -q')
    .action(run(path));
};

const path: Action<object, []> = async ({ configSources }) => {
  const { readConfig } = await import('../../../config/load-config.js');
  return { view: configFileList((await readConfig(configSources)).config.files) };
};
