import {
  type Fleet,
  killedVerifiersNote,
  nameVerifiers,
  withoutKey,
} from '../../../../domain/fleet/running-verifiers.js';
import { type PublicJwk, publicJwk } from '../../../../domain/jose/jwk-set.js';
import type { GenerationPlan } from '../../../../domain/keys/generate.js';
import type { RotationOutcome } from '../../../../domain/keys/rotate.js';
import { isTrusted, type KeyState, type SigningKey } from '../../../../domain/model/signing-key.js';
import { pluralize } from '../../pluralize.js';
import { relativeTime } from '../../time.js';
import type { Cell, JsonObject, ListItem, Tone, View } from '../../view.js';
import { verifierData } from '../fleet.js';

const TONES: Record<KeyState, Tone> = {
  pending: 'warn',
  active: 'good',
  retiring: 'faint',
  retired: 'faint',
  compromised: 'bad',
};

export function keyList(
  keys: readonly SigningKey[],
  now: number,
  dryRun = false,
  empty = 'There are no keys. Run `jwtctl keys generate`.',
): Extract<View, { shape: 'list' }> & { items: ListItem[] } {
  return {
    shape: 'list',
    items: keys.map((key) => keyItem(key, now, dryRun)),
    columns: [
      { name: 'kid', mayShorten: true },
      'state',
      { name: 'alg', isMinor: true },
      { name: 'bits', isMinor: true },
      { name: 'created', isMinor: true },
      'active since',
      'verifies until',
      { name: 'master key', mayShorten: true, isMinor: true },
    ],
    empty,
  };
}

export function keyListWithFleet(
  keys: readonly SigningKey[],
  fleet: Fleet,
  now: number,
  empty?: string,
): View {
  const list = keyList(keys, now, false, empty);
  const total = fleet.verifiers.length;
  return {
    ...list,
    columns: [...list.columns, 'verifiers'],
    items: list.items.map(({ data, id, row }, index) => {
      const loaded = total - withoutKey(fleet, id).length;
      const isShown = fleet.unavailableReason === null && isTrusted(keys[index]?.state ?? 'retired');
      return {
        data: { ...data, verifiers: fleet.unavailableReason === null ? loaded : null },
        id,
        row: [...row, isShown ? loadedCell(loaded, total) : '-'],
      };
    }),
  };
}

function loadedCell(loaded: number, total: number): Cell {
  const text = `${loaded} of ${total}`;
  return loaded === total ? text : { text, tone: 'warn' };
}

export function keyRecord(key: SigningKey, now: number, dryRun = false): View {
  return {
    shape: 'record',
    data: keyData(key, dryRun),
    id: key.kid,
    fields: [
      ['kid', key.kid],
      ['state', stateCell(key.state)],
      ['alg', key.alg],
      ['bits', String(key.bits)],
      ['created', relativeTime(key.createdAt, now)],
      ['active since', relativeTime(key.activatedAt, now)],
      ['retiring since', relativeTime(key.retiringAt, now)],
      ['verifies until', verifiesUntil(key, now)],
      ['retired', relativeTime(key.retiredAt, now)],
      ['compromised', relativeTime(key.compromisedAt, now)],
      ['master key', key.masterKeyId ?? '-'],
    ],
  };
}

export function keyRecordWithJwk(key: SigningKey, now: number): View {
  const record = keyRecord(key, now) as Extract<View, { shape: 'record' }>;
  return { ...record, data: { ...record.data, jwk: jwkData(publicJwk(key)) } };
}

export function generationPlan({ kid, alg, bits, count, firstState }: GenerationPlan): View {
  const others = count > 1 ? `, the other ${count - 1} pending` : '';
  return {
    shape: 'text',
    data: { dryRun: true, kid, alg, bits, count, firstState },
    text: `Would generate ${pluralize(count, `${alg} key`)} of ${bits} bits; the first would be ${firstState}${others}.`,
  };
}

export function rotationReport(outcome: RotationOutcome, dryRun: boolean, now: number): View {
  const { rotated, reason, active, previous, pending, signsFrom, retired, stragglers } = outcome;
  const data: JsonObject = {
    rotated: rotated && !dryRun,
    ...{ reason, active, previous, pending, signsFrom, retired },
    stragglers: stragglers.map(verifierData),
  };
  const none = dryRun ? '(new key)' : '-';
  return {
    shape: 'record',
    data: dryRun ? { ...data, dryRun: true, wouldRotate: rotated } : data,
    id: active ?? [],
    fields: [
      [dryRun ? 'would rotate' : 'rotated', rotated ? { text: 'yes', tone: 'good' } : 'no'],
      ['reason', `${reason}: ${explain(outcome, now)}`],
      ['active', active ?? none],
      ['previous', previous ?? '-'],
      ['pending', pending ?? none],
      ['pending signs', pendingSigns(outcome, now)],
      ['retired', retired.length === 0 ? '-' : retired.join(', ')],
      ...(stragglers.length === 0
        ? []
        : [['not loaded by', { text: nameVerifiers(stragglers), tone: 'warn' }] as const]),
    ],
  };
}

function pendingSigns({ signsFrom, stragglers }: RotationOutcome, now: number): string {
  const isLate = signsFrom !== null && signsFrom <= now && stragglers.length > 0;
  return isLate ? 'once verifiers have loaded it' : relativeTime(signsFrom, now);
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

export function fleetAwaited({ pending, stragglers, fleetUnavailableReason }: RotationOutcome): View {
  const text =
    fleetUnavailableReason === null
      ? `Waiting for verifiers to load key ${pending}: ${nameVerifiers(stragglers)}.`
      : `Waiting to check which verifiers have loaded key ${pending}: ${fleetUnavailableReason}`;
  return { shape: 'text', text, data: text };
}

export const NOT_PRE_PUBLISHED =
  'The active key was not published for keys.publishLead before it began to sign. Verifiers with an older JWK Set refuse its tokens until they fetch the set again.';

export function jwkSetText(set: { keys: PublicJwk[] }): View {
  const data = { keys: set.keys.map(jwkData) };
  return { shape: 'text', data, text: JSON.stringify(data, null, 2) };
}

export function publicKeyPem(key: SigningKey): View {
  return { shape: 'text', data: { kid: key.kid, publicKey: key.publicKey }, text: key.publicKey };
}

function keyItem(key: SigningKey, now: number, dryRun: boolean): ListItem {
  return {
    data: keyData(key, dryRun),
    id: key.kid,
    row: [
      key.kid,
      stateCell(key.state),
      key.alg,
      String(key.bits),
      relativeTime(key.createdAt, now),
      relativeTime(key.activatedAt, now),
      verifiesUntil(key, now),
      key.masterKeyId ?? '-',
    ],
  };
}

export function keyData(key: SigningKey, dryRun = false): JsonObject {
  const { kid, alg, bits, state, masterKeyId } = key;
  const { createdAt, activatedAt, retiringAt, verifyUntil, retiredAt, compromisedAt } = key;
  return {
    ...{ kid, alg, bits, state, masterKeyId },
    ...{ createdAt, activatedAt, retiringAt, verifyUntil, retiredAt, compromisedAt },
    ...(dryRun ? { dryRun } : {}),
  };
}

function jwkData({ kty, kid, use, alg, n, e }: PublicJwk): JsonObject {
  return { kty, kid, use, alg, n, e };
}

function verifiesUntil(key: SigningKey, now: number): string {
  return isTrusted(key.state) ? relativeTime(key.verifyUntil, now) : '-';
}

function stateCell(state: KeyState): Cell {
  return { text: state, tone: TONES[state] };
}

function explain(
  { reason, signsFrom, awaitsFleet, fleetUnavailableReason }: RotationOutcome,
  now: number,
): string {
  switch (reason) {
    case 'due':
      return 'the pending key becomes active';
    case 'forced':
      return 'requested with --now';
    case 'not_due':
      return `the active key is not old enough; the pending key signs ${relativeTime(signsFrom, now)}`;
    case 'published':
      return `a new key is published; it signs ${relativeTime(signsFrom, now)}`;
    case 'waiting':
      if (awaitsFleet && fleetUnavailableReason !== null) return 'the running verifiers cannot be checked';
      if (awaitsFleet) return 'some running verifiers have not loaded the pending key';
      return `the pending key has not been published for long enough; it signs ${relativeTime(signsFrom, now)}`;
    case 'lost_race':
      return 'another run has just rotated the keys';
  }
}
