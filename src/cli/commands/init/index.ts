import { Option } from 'commander';
import type { AccountKind } from '../../../app/context.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { statementList } from '../../output/views/init.js';
import { apply } from './apply.js';
import { askAll, STORES, type StoreChoice } from './questions.js';
import { openTarget } from './target.js';

const ACCOUNTS = ['operator', 'service', 'verifier', 'redis'] as const satisfies readonly AccountKind[];

export const defineInit: DefineCommand = (command, run) => {
  command
    .addOption(
      new Option('--store <kind>', 'keep keys and tokens in one SQLite file, or in MySQL and Redis').choices(
        STORES,
      ),
    )
    .addOption(
      new Option(
        '--print-grants <account>',
        'print the statements that create an account with the least privileges, and exit',
      ).choices(ACCOUNTS),
    )
    .examples('jwtctl init', 'jwtctl init --print-grants operator')
    .action(run(init));
};

interface InitFlags {
  store?: StoreChoice;
  printGrants?: AccountKind;
}

const init: Action<InitFlags, []> = async (invocation, { store, printGrants }) => {
  if (printGrants !== undefined) {
    const { accountStatements } = await invocation.context();
    return { view: statementList(await accountStatements(printGrants)) };
  }
  const target = await openTarget(invocation);
  return apply(invocation, target, await askAll(invocation, target, store));
};
