import type { DefineCommand } from '../../invocation.js';
import { durationFlag } from '../shared/flags.js';
import { waitFleetOption } from '../shared/fleet-wait.js';
import { reasonOption } from '../shared/reason-option.js';
import { changeStatus } from './change-status.js';

export const defineDisable: DefineCommand = (group, run) => {
  group
    .command('disable')
    .argument('<sub>', 'subject')
    .description("Refuse the user's tokens until the user is enabled again.")
    .option('--for <duration>', 'enable the user again after this time', durationFlag)
    .addOption(reasonOption())
    .addOption(waitFleetOption())
    .examples(
      "jwtctl users disable alice --reason 'lost laptop' --wait-fleet",
      'jwtctl users disable alice --for 12h',
    )
    .action(run(changeStatus('disabled')));
};
