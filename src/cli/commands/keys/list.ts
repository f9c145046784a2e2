import { Option } from 'commander';
import { askFleetWithin, NO_VERIFIERS } from '../../../domain/fleet/running-verifiers.js';
import { KEY_STATES, type KeyState } from '../../../domain/model/signing-key.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { keyListWithFleet } from '../../output/views/keys/signing-key.js';

export const defineList: DefineCommand = (group, run) => {
  group
    .command('list')
    .description(
      'List the keys, oldest first.\n\nIf verifiers are running, shows how many of them have loaded each pending and active key.',
    )
    .addOption(new Option('--state <state>', 'list only keys in this state').choices(KEY_STATES))
    .examples('jwtctl keys list', 'jwtctl keys list --state active -q')
    .action(run(list));
};

const list: Action<{ state?: KeyState }, []> = async ({ context: open, globals }, { state }) => {
  const context = await open();
  const { keys } = await (await context.database()).keys.snapshot();
  const shown = keys.filter((key) => state === undefined || key.state === state);
  const needsFleet = shown.length > 0 && globals.format !== 'quiet';
  const fleet = needsFleet
    ? await askFleetWithin(context.settings.timeout * 1000, {
        openRegistry: context.registry,
        clock: context.clock,
      })
    : NO_VERIFIERS;
  const empty = state === undefined || keys.length === 0 ? [] : [`There are no ${state} keys.`];
  return {
    view: keyListWithFleet(shown, fleet, context.clock.now(), ...empty),
    notes:
      fleet.unavailableReason === null
        ? []
        : [`jwtctl could not check which verifiers have loaded each key: ${fleet.unavailableReason}`],
  };
};
