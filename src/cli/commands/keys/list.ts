import { Option } from 'commander';
import { askFleetWithin, NO_VERIFIERS } from '../../../domain/fleet/running-verifiers.js';
import { KEY_STATES, type KeyState } from '../../../domain/model/signing-key.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { keyListWithFleet } from '../../output/views/keys.js';

export const defineList: DefineCommand = (group, run) => {
  group
    .command('list')
    .description(
      'List the keys, oldest first.\n\nIf verifiers are running, shows how many of them have loaded each key.',
    )
    .addOption(new Option('--state <state>', 'list only keys in this state').choices(KEY_STATES))
    .examples('jwtctl keys list', 'jwtctl keys list --state active -q')
    .action(run(list));
};

const list: Action<{ state?: KeyState }, []> = async ({ context: open, globals }, { state }) => {
  const context = await open();
  const { keys } = await (await context.database()).keys.snapshot();
  const shown = keys.filter((key) => state === undefined || key.state === state);
  const isAsked = shown.length > 0 && globals.format !== 'quiet';
  const fleet = isAsked
    ? await askFleetWithin(FLEET_WITHIN_MS, { openRegistry: context.registry, clock: context.clock })
    : NO_VERIFIERS;
  const empty = state === undefined || keys.length === 0 ? [] : [`No key is ${state}.`];
  return {
    view: keyListWithFleet(shown, fleet, context.clock.now(), ...empty),
    notes:
      fleet.unavailableReason === null
        ? []
        : [`How many verifiers know each key is not known: ${fleet.unavailableReason}`],
  };
};

/** How long the list waits for a registry that does not answer, in milliseconds: it is about keys. */
const FLEET_WITHIN_MS = 1_000;
