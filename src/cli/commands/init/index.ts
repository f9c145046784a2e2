import { Option } from 'commander';
import type { AccountKind } from '../../../app/context.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { statementList } from '../../output/views/init.js';

const ACCOUNTS = ['operator', 'service', 'verifier', 'redis'] as const satisfies readonly AccountKind[];

export const defineInit: DefineCommand = (command, run) => {
  command
    .addOption(
      new Option(
        '--print-grants <account>',
        'print the statements that create an account with the least privileges',
      )
        .choices(ACCOUNTS)
        .makeOptionMandatory(),
    )
    .examples('jwtctl init --print-grants operator', 'jwtctl init --print-grants redis')
    .action(run(init));
};

interface InitFlags {
  printGrants: AccountKind;
}

const init: Action<InitFlags, []> = async ({ context }, { printGrants }) => {
  return { view: statementList(await (await context()).accountStatements(printGrants)) };
};
