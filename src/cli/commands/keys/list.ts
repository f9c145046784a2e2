import { Option } from 'commander';
import { askFleetWithin, NO_VERIFIERS } from '../../../domain/fleet/running-verifiers.js';
import { signingSchedule } from '../../../domain/keys/signing-schedule.js';
import { KEY_STATES, type KeyState } from '../../../domain/model/signing-key.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { scheduledKeyList } from '../../output/views/keys/signing-key.js';
import { addListFlags, type ListFlags, listOutcome } from '../shared/list-flags.js';

export const defineList: DefineCommand = (group, run) => {
  addListFlags(group.command('list'), 'kid, state, alg, or master key')
    .description(
      'List the keys, oldest first.\n\nShows when each pending key will sign, if `jwtctl keys rotate` runs regularly. If verifiers are running, shows how many of them have loaded each pending and active key.',
    )
    .addOption(new Option('--state <state>', 'list only keys in this state').choices(KEY_STATES))
    .examples('jwtctl keys list', 'jwtctl keys list --state active -q')
    .action(run(list));
};

const list: Action<ListFlags & { state?: KeyState }, []> = async ({ context: open, globals }, flags) => {
  const { state } = flags;
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
  const now = context.clock.now();
  const { rotateAfter, publishLead } = context.settings.keys;
  const schedule = signingSchedule(
    keys,
    { rotateAfterSeconds: rotateAfter, publishLeadSeconds: publishLead },
    now,
  );
  const view = scheduledKeyList(shown, { fleet, schedule }, now, ...empty);
  return {
    ...listOutcome(view, flags, globals, ['kid', 'state', 'alg', 'masterKeyId']),
    notes:
      fleet.unavailableReason === null
        ? []
        : [`jwtctl could not check which verifiers have loaded each key: ${fleet.unavailableReason}`],
  };
};
