import type { DefineCommand } from '../../invocation.js';
import { examples } from '../shared/examples.js';
import { reasonOption } from '../shared/reason-option.js';
import { changeStatus } from './change-status.js';

export const defineEnable: DefineCommand = (group, run) => {
  group
    .command('enable')
    .argument('<sub>')
    .addOption(reasonOption())
    .description('accept the tokens of a user again, but those that were revoked')
    .addHelpText('after', examples('jwtctl users enable alice', 'jwtctl users enable alice --json'))
    .action(run(changeStatus('enabled')));
};
