import { type Fleet, withoutKey } from '../../../../domain/fleet/running-verifiers.js';
import { type PublicJwk, publicJwk } from '../../../../domain/jose/jwk-set.js';
import type { GenerationPlan } from '../../../../domain/keys/generate.js';
import type { ScheduledStart } from '../../../../domain/keys/signing-schedule.js';
import {
  isTrusted,
  isVerifyOnly,
  type KeyState,
  type SigningKey,
  stateName,
} from '../../../../domain/model/signing-key.js';
import { pluralize } from '../../../../domain/shared/pluralize.js';
import { plainColumn, shortenedColumn } from '../../columns.js';
import { isoTime, relativeTime } from '../../time.js';
import type { JsonObject, ListItem, ListView, Text, Tone, View } from '../../view.js';

const TONES: Record<KeyState, Tone> = {
  pending: 'warn',
  active: 'good',
  retiring: 'faint',
  retired: 'faint',
  compromised: 'bad',
};

export const NO_KEYS = 'There are no keys. Run `jwtctl keys generate`.';

export function keyList(
  keys: readonly SigningKey[],
  now: number,
  dryRun = false,
  empty = NO_KEYS,
): ListView & { items: ListItem[] } {
  return {
    shape: 'list',
    items: keys.map((key) => keyItem(key, now, dryRun)),
    columns: [
      shortenedColumn('kid'),
      'state',
      plainColumn('alg', 2),
      plainColumn('bits', 1),
      plainColumn('created', 4),
      plainColumn('active since', 5),
      'verifies until',
      shortenedColumn('master key', 3),
    ],
    empty,
  };
}

/** @param schedule when the pending keys sign, by `kid` */
export function scheduledKeyList(
  keys: readonly SigningKey[],
  { fleet, schedule }: { fleet: Fleet; schedule: ReadonlyMap<string, ScheduledStart> },
  now: number,
  empty?: string,
): ListView {
  const list = keyList(keys, now, false, empty);
  const [kidColumn = '', stateColumn = '', ...others] = list.columns;
  const total = fleet.verifiers.length;
  return {
    ...list,
    columns: [kidColumn, stateColumn, 'signs', ...others, plainColumn('verifiers', 6)],
    items: list.items.map(({ data, id, row: [kidCell = '', state = '', ...cells] }, index) => {
      const key = keys[index] as SigningKey;
      const start = schedule.get(key.kid);
      const loaded = total - withoutKey(fleet, key.kid).length;
      // Verifiers report only these keys.
      const isReported = key.state === 'pending' || key.state === 'active';
      const isShown = fleet.unavailableReason === null && isReported;
      return {
        data: { ...data, signsFrom: start?.signsFrom ?? null, verifiers: isShown ? loaded : null },
        id,
        row: [
          ...[kidCell, state, signsCell(key, start, now)],
          ...[...cells, isShown ? loadedCell(loaded, total) : '-'],
        ],
      };
    }),
  };
}

function signsCell({ state }: SigningKey, start: ScheduledStart | undefined, now: number): Text {
  if (state === 'active') return { text: 'now', tone: 'good' };
  if (start === undefined) return '-';
  const { place, signsFrom } = start;
  if (place > 1) return `${ordinal(place)}, not before ${isoTime(signsFrom).slice(0, 10)}`;
  return signsFrom <= now ? 'next, at the next run' : `next, ${relativeTime(signsFrom, now)}`;
}

function ordinal(place: number): string {
  const isTeen = place % 100 > 10 && place % 100 < 14;
  const suffix = isTeen ? 'th' : (['th', 'st', 'nd', 'rd'][place % 10] ?? 'th');
  return `${place}${suffix}`;
}

function loadedCell(loaded: number, total: number): Text {
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
      ['state', stateCell(key)],
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
      stateCell(key),
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
    kid,
    alg,
    bits,
    state,
    verifyOnly: isVerifyOnly(key),
    masterKeyId,
    createdAt,
    activatedAt,
    retiringAt,
    verifyUntil,
    retiredAt,
    compromisedAt,
    ...(dryRun ? { dryRun } : {}),
  };
}

function jwkData({ kty, kid, use, alg, n, e }: PublicJwk): JsonObject {
  return { kty, kid, use, alg, n, e };
}

function verifiesUntil(key: SigningKey, now: number): string {
  if (!isTrusted(key.state)) return '-';
  return isVerifyOnly(key) && key.verifyUntil === null ? 'no end' : relativeTime(key.verifyUntil, now);
}

export function stateCell(key: Parameters<typeof stateName>[0]): Text {
  return { text: stateName(key), tone: TONES[key.state] };
}
