import type { DefineCommand } from '../../invocation.js';
import { examples } from '../shared/examples.js';
import { waitFleetOption } from '../shared/fleet-wait.js';
import { reasonOption } from '../shared/reason-option.js';
import { changeStatus } from './change-status.js';

export const defineDisable: DefineCommand = (group, run) => {
  group
    .command('disable')
    .argument('<sub>')
    .addOption(reasonOption())
    .addOption(waitFleetOption())
    .description('refuse all tokens of a user from now on, until the user is enabled again')
    .addHelpText(
      'after',
      examples(
        'jwtctl users disable alice --wait-fleet',
        "jwtctl users disable alice --reason 'lost laptop'",
      ),
    )
    .action(run(changeStatus('disabled')));
};
