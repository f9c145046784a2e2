import { Option } from 'commander';
import type { Settings } from '../../../config/settings.js';
import { askFleetWithin, NO_VERIFIERS } from '../../../domain/fleet/running-verifiers.js';
import { signingSchedule } from '../../../domain/keys/signing-schedule.js';
import { keyTimeline } from '../../../domain/keys/timeline.js';
import { KEY_STATES, type KeyState, type SigningKey } from '../../../domain/model/signing-key.js';
import type { Globals } from '../../globals.js';
import type { Action, DefineCommand } from '../../invocation.js';
import type { Outcome } from '../../output/view.js';
import { keyData, scheduledKeyList } from '../../output/views/keys/signing-key.js';
import { timelineList } from '../../output/views/keys/timeline.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';
import {
  addListFlags,
  type ListFlags,
  listOutcome,
  matchesSearch,
  NONE_FOUND,
} from '../shared/list-flags.js';

export const defineList: DefineCommand = (group, run) => {
  addListFlags(group.command('list'), 'kid, state, alg, or master key')
    .description(
      'List the keys, oldest first.\n\nShows when each pending key will sign, if `jwtctl keys rotate` runs regularly. If verifiers are running, shows how many of them have loaded each pending and active key.',
    )
    .addOption(new Option('--state <state>', 'list only keys in this state').choices(KEY_STATES))
    .option(
      '--timeline',
      'show when each key is published, signs, and verifies (a chart on a terminal); --limit keeps the newest keys',
    )
    .examples('jwtctl keys list', 'jwtctl keys list --timeline')
    .action(run(list));
};

interface KeyListFlags extends ListFlags {
  state?: KeyState;
  timeline?: true;
}

const list: Action<KeyListFlags, []> = async ({ context: open, globals }, flags) => {
  const { state } = flags;
  const context = await open({ migratesEmbedded: false });
  const { keys } = await (await context.database()).keys.snapshot();
  const shown = keys.filter((key) => state === undefined || key.state === state);
  const now = context.clock.now();
  const { settings } = context;
  if (flags.timeline) return timelineOutcome(keys, shown, flags, { settings, now, globals });
  const needsFleet = shown.length > 0 && globals.format !== 'quiet';
  const fleet = needsFleet
    ? await askFleetWithin(settings.timeout * 1000, {
        openRegistry: context.registry,
        clock: context.clock,
      })
    : NO_VERIFIERS;
  const empty = emptyText(keys, state);
  const schedule = signingSchedule(keys, rotationPolicy(settings), now);
  const view = scheduledKeyList(shown, { fleet, schedule }, now, empty);
  return {
    ...listOutcome(view, flags, globals, SEARCHED),
    notes:
      fleet.unavailableReason === null
        ? []
        : [`jwtctl could not check which verifiers have loaded each key: ${fleet.unavailableReason}`],
  };
};

const SEARCHED = ['kid', 'state', 'alg', 'masterKeyId'];

function rotationPolicy({ keys: { rotateAfter, publishLead } }: Settings) {
  return { rotateAfterSeconds: rotateAfter, publishLeadSeconds: publishLead };
}

function emptyText(keys: readonly SigningKey[], state: KeyState | undefined): string | undefined {
  return state === undefined || keys.length === 0 ? undefined : `There are no ${state} keys.`;
}

/** Does not ask the fleet, because it shows only times. */
function timelineOutcome(
  keys: readonly SigningKey[],
  ofState: readonly SigningKey[],
  { state, search, limit = Number.POSITIVE_INFINITY }: KeyListFlags,
  { settings, now, globals }: { settings: Settings; now: number; globals: Globals },
): Outcome {
  const timeline = keyTimeline(keys, { ...rotationPolicy(settings), ...lifetimePolicy(settings) }, now);
  const found = ofState.filter(
    (key) => search === undefined || matchesSearch(keyData(key), SEARCHED, search),
  );
  const kids = new Set(found.slice(-limit).map(({ kid }) => kid));
  const shown = { ...timeline, keys: timeline.keys.filter(({ kid }) => kids.has(kid)) };
  const empty = search === undefined ? emptyText(keys, state) : NONE_FOUND;
  const isCut = found.length > limit && globals.format === 'table';
  return {
    view: timelineList(shown, now, { isWide: globals.isWide, empty }),
    notes: isCut ? [`Only the newest ${limit} are shown, because of --limit. There are more.`] : [],
  };
}
