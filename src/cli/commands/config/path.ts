import type { Action, DefineCommand } from '../../invocation.js';
import { configFileList } from '../../output/views/config.js';
import { examples } from '../shared/examples.js';

export const definePath: DefineCommand = (group, run) => {
  group
    .command('path')
    .description('list the files that are looked for, the strongest first')
    .addHelpText('after', examples('jwtctl config path', 'jwtctl config path -q'))
    .action(run(path));
};

const path: Action<object, []> = async ({ configSources }) => {
  const { readConfig } = await import('../../../config/load.js');
  return { view: configFileList((await readConfig(configSources)).config.files) };
};
