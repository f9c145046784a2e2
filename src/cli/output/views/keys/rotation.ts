import { killedVerifiersNote, nameVerifiers } from '../../../../domain/fleet/running-verifiers.js';
import type { RotationOutcome } from '../../../../domain/keys/rotate.js';
import type { JsonObject, View } from '../../view.js';
import { verifierData } from '../fleet.js';
import { rotationText } from './rotation-text.js';

/** @param checksUrl whether `keys.publishUrl` is set */
export function rotationReport(
  outcome: RotationOutcome,
  dryRun: boolean,
  now: number,
  checksUrl: boolean,
): View {
  const { rotated, reason, active, previous, pending, signsFrom, retired, stragglers } = outcome;
  const data: JsonObject = {
    rotated: rotated && !dryRun,
    ...{ reason, active, previous, pending, signsFrom, retired },
    stragglers: stragglers.map(verifierData),
    awaitsPublication: outcome.awaitsPublication,
  };
  return {
    shape: 'report',
    data: dryRun ? { ...data, dryRun: true, wouldRotate: rotated } : data,
    id: active ?? [],
    sections: [{ ...rotationText(outcome, { dryRun, now, checksUrl }), columns: [], rows: [] }],
  };
}

/** @param waiting null if the key is active already */
export function stragglerWarnings(
  kid: string | null,
  { stragglers, fleetUnavailableReason }: Pick<RotationOutcome, 'stragglers' | 'fleetUnavailableReason'>,
  waiting: { clockToleranceSeconds: number } | null,
): string[] {
  if (fleetUnavailableReason !== null) {
    return [
      `jwtctl could not check whether running verifiers have loaded key ${kid}, and relies on keys.publishLead: ${fleetUnavailableReason}`,
    ];
  }
  if (stragglers.length === 0) return [];
  const reason = `these running verifiers have not loaded it: ${nameVerifiers(stragglers)}.`;
  return waiting !== null
    ? [
        `Key ${kid} does not sign yet, because ${reason} ${killedVerifiersNote(waiting)} Run the same command again later, or with --force to rotate anyway.`,
      ]
    : [`Key ${kid} signs now, but ${reason} They refuse its tokens until they read the keys again.`];
}

/** Warns that something other than a verifier writes heartbeats to Redis. */
export function heartbeatWarnings({ untrustedHeartbeats: count }: RotationOutcome): string[] {
  if (count === 0) return [];
  const what = count === 1 ? '1 invalid heartbeat in Redis was' : `${count} invalid heartbeats in Redis were`;
  return [`${what} ignored. Find the client that writes to <redis.prefix>:fleet.`];
}

/** Says why a key that is otherwise ready does not sign. */
export function publicationWarnings({ pending, awaitsPublication, publication }: RotationOutcome): string[] {
  const { problem, failure } = publication;
  // A failure is reported as the error of the command.
  if (!awaitsPublication || failure !== null) return [];
  return [
    `Key ${pending} does not sign yet, because ${problem}. A cache may hold an older copy. Run the same command again later, or with --force to rotate anyway.`,
  ];
}

export function publicationAwaited({ pending, publication }: RotationOutcome): View {
  const text = `Waiting for keys.publishUrl to show key ${pending}: ${publication.problem}.`;
  return { shape: 'text', text, data: text };
}

export function fleetAwaited({ pending, stragglers, fleetUnavailableReason }: RotationOutcome): View {
  const text =
    fleetUnavailableReason === null
      ? `Waiting for verifiers to load key ${pending}: ${nameVerifiers(stragglers)}.`
      : `Waiting to check which verifiers have loaded key ${pending}: ${fleetUnavailableReason}`;
  return { shape: 'text', text, data: text };
}

export const NOT_PRE_PUBLISHED =
  'The active key began to sign before its publish lead (keys.publishLead) was over. Verifiers with an older JWK Set refuse its tokens until they fetch the set again.';
