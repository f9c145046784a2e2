import type { DefineCommand } from '../../invocation.js';
import { waitFleetOption } from '../shared/fleet-wait.js';
import { reasonOption } from '../shared/reason-option.js';
import { changeStatus } from './change-status.js';

export const defineDisable: DefineCommand = (group, run) => {
  group
    .command('disable')
    .argument('<sub>', 'subject')
    .description("Refuse the user's tokens until the user is enabled again.")
    .addOption(reasonOption())
    .addOption(waitFleetOption())
    .examples('jwtctl users disable alice --wait-fleet', "jwtctl users disable alice --reason 'lost laptop'")
    .action(run(changeStatus('disabled')));
};
