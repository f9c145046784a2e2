import type { Action, DefineCommand } from '../../invocation.js';
import { settingList } from '../../output/views/config.js';
import { addListFlags, type ListFlags, listOutcome } from '../shared/list-flags.js';

export const defineShow: DefineCommand = (group, run) => {
  addListFlags(group.command('show'), 'setting or variable')
    .description('Show every setting with its value and source.\n\nSecrets are masked.')
    .examples('jwtctl config show', 'jwtctl config show --search mysql')
    .action(run(show));
};

const show: Action<ListFlags, []> = async ({ config, caution, globals }, flags) => {
  const [{ showConfig }, { namedFileFaults }] = await Promise.all([
    import('../../../config/show-config.js'),
    import('../../../config/check-settings.js'),
  ]);
  const loaded = await config();
  const faults = await namedFileFaults(loaded.settings, caution);
  for (const { message, hint } of faults) caution(`${message} ${hint ?? ''}`);
  return listOutcome(settingList(showConfig(loaded)), flags, globals, ['setting', 'variable']);
};
