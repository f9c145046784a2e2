import { nameVerifiers } from '../../../../domain/fleet/running-verifiers.js';
import type { RotationOutcome } from '../../../../domain/keys/rotate.js';
import { isoTime, relativeTime } from '../../time.js';
import type { Text } from '../../view.js';

/** Says in sentences what a rotation did, what follows, and whether there is anything left to do. */
export function rotationText(
  outcome: RotationOutcome,
  { dryRun, now, checksUrl }: { dryRun: boolean; now: number; checksUrl: boolean },
): { title: Text; lines: Text[] } {
  const { rotated, retired, stragglers, reason } = outcome;
  const [title = '', ...rest] = dryRun ? plannedText(outcome, now) : doneText(outcome, now);
  return {
    title: { text: title, tone: reason === 'waiting' ? 'warn' : 'good' },
    lines: [
      ...(rest.length === 0 ? [] : [rest.join(' ')]),
      ...(retired.length === 0
        ? []
        : [`Retired, because no live token can use it: ${retired.map(key).join(', ')}.`]),
      ...(stragglers.length === 0
        ? []
        : [
            {
              text: `These verifiers have not loaded the key: ${nameVerifiers(stragglers)}.`,
              tone: 'warn' as const,
            },
          ]),
      ...(rotated && !checksUrl ? [UNSEEN_VERIFIERS] : []),
    ],
  };
}

const UNSEEN_VERIFIERS =
  'Programs that read the JWK Set were not checked, because keys.publishUrl is not set.';

function doneText(outcome: RotationOutcome, now: number): string[] {
  const { reason, active, pending, stragglers, isNotPrePublished } = outcome;
  switch (reason) {
    case 'due':
    case 'forced':
      return [
        `Rotated: ${key(active)} signs now${circumstances(outcome)}.`,
        ...nextKey(outcome, now),
        ...(stragglers.length > 0 || isNotPrePublished ? [] : ['Nothing else to do.']),
      ];
    case 'published':
      return [`Published ${key(pending)}; ${signingTime(outcome, now)}.`, 'Nothing else to do.'];
    case 'not_due':
      return [`Not due: ${key(active)} keeps signing.`, ...nextKey(outcome, now), 'Nothing to do.'];
    case 'waiting':
      return [
        `Waiting: ${key(active)} keeps signing, because ${obstacle(outcome, now)}.`,
        'Run `jwtctl keys rotate` again later.',
      ];
    case 'lost_race':
      return [`Another run has just rotated the keys: ${key(active)} signs now.`, 'Nothing to do.'];
  }
}

function plannedText(outcome: RotationOutcome, now: number): string[] {
  const { reason, active } = outcome;
  switch (reason) {
    case 'due':
    case 'forced':
      return [`Would rotate: ${key(active)} would sign now${circumstances(outcome)}.`];
    case 'published':
      return ['Would publish a new key.'];
    default:
      return doneText(outcome, now);
  }
}

function circumstances({ previous, reason }: RotationOutcome): string {
  const replaced = previous === null ? '' : `, in place of ${key(previous)}`;
  return reason === 'forced' ? `${replaced}, as requested with --now` : replaced;
}

function nextKey(outcome: RotationOutcome, now: number): string[] {
  const { pending } = outcome;
  return pending === null ? [] : [`Next is ${key(pending)}; ${signingTime(outcome, now)}.`];
}

function signingTime({ signsFrom }: RotationOutcome, now: number): string {
  return signsFrom === null || signsFrom <= now
    ? 'it will sign once a later run makes it active'
    : `it will sign from ${when(signsFrom, now)}`;
}

function obstacle(
  {
    pending,
    signsFrom,
    awaitsFleet,
    awaitsPublication,
    publication,
    fleetUnavailableReason,
  }: RotationOutcome,
  now: number,
): string {
  if (awaitsFleet && fleetUnavailableReason !== null)
    return `jwtctl cannot check which running verifiers have loaded ${key(pending)}`;
  if (awaitsPublication)
    return publication.failure === null
      ? `keys.publishUrl does not show ${key(pending)} yet`
      : 'keys.publishUrl cannot be read';
  if (awaitsFleet) return `some running verifiers have not loaded ${key(pending)}`;
  return `${key(pending)} has not been published for long enough; it can sign from ${when(signsFrom, now)}`;
}

function when(time: number | null, now: number): string {
  return time === null ? 'an unknown time' : `${isoTime(time)} (${relativeTime(time, now)})`;
}

function key(kid: string | null): string {
  return kid === null ? 'a new key' : `key ${kid}`;
}
