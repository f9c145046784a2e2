import type { DefineCommand } from '../../invocation.js';
import { reasonOption } from '../shared/reason-option.js';
import { changeStatus } from './change-status.js';

export const defineEnable: DefineCommand = (group, run) => {
  group
    .command('enable')
    .argument('<sub>', 'subject')
    .description("Accept the user's tokens again, except revoked ones.")
    .addOption(reasonOption())
    .examples('jwtctl users enable alice', 'jwtctl users enable alice --json')
    .action(run(changeStatus('enabled')));
};
