import type { TokenMeta } from '../../../domain/model/token-meta.js';
import type { ListedToken } from '../../../domain/registry/list-tokens.js';
import { stringifySpelled } from '../../../domain/shared/json-numbers.js';
import { grouped } from '../../../domain/shared/pluralize.js';
import type { IssuedToken } from '../../../domain/tokens/issued-token.js';
import type { RegisteredToken } from '../../../domain/tokens/register.js';
import type { RevocationOutcome } from '../../../domain/tokens/revoke.js';
import { plainColumn, shortenedColumn } from '../columns.js';
import { isoTime, relativeTime } from '../time.js';
import type { JsonObject, ListView, StreamItem, Text, View } from '../view.js';

/** Shows the whole token, as only the views of new tokens do. */
export function issuedToken(issued: IssuedToken): View {
  const { data, id } = issuedItem(issued);
  const { refreshToken } = issued;
  return { shape: 'text', text: refreshToken === undefined ? id : `${id}\n${refreshToken}`, data };
}

export function issuedItem(issued: IssuedToken): StreamItem {
  const { token, jti, kid, sub, aud, iat, exp, refreshToken, refreshExp } = issued;
  const refresh = refreshToken === undefined ? {} : { refreshToken, refreshExp: Number(refreshExp) };
  return { data: { token, jti, kid, sub, aud, iat, exp, ...refresh }, id: token };
}

interface IssuancePlan {
  kid: string;
  payload: Record<string, unknown>;
}

export function issuancePlan(plan: IssuancePlan): View {
  return {
    shape: 'record',
    ...plannedItem(plan),
    fields: [['would sign with', plan.kid], ...claimFields(plan.payload)],
  };
}

export function plannedItem({ kid, payload }: IssuancePlan): StreamItem {
  return { data: { dryRun: true, kid, payload: payload as JsonObject }, id: kid };
}

export function registeredToken(registered: RegisteredToken, now: number, dryRun: boolean): View {
  const { jti, kid, sub, aud, iat, exp } = registered;
  return {
    shape: 'record',
    ...registeredItem(registered, dryRun),
    fields: [
      ['jti', jti],
      ['kid', kid],
      ['sub', sub],
      ['aud', aud === null ? '-' : plainText(aud)],
      ['issued', relativeTime(iat, now)],
      ['expires', relativeTime(exp, now)],
    ],
  };
}

export function registeredItem(
  { jti, kid, sub, aud, iat, exp }: RegisteredToken,
  dryRun: boolean,
): StreamItem {
  return { data: { ...(dryRun ? { dryRun } : {}), jti, kid, sub, aud, iat, exp }, id: jti };
}

export function decodedToken(parts: {
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
  signature: string;
}): View {
  return {
    shape: 'record',
    data: {
      header: parts.header as JsonObject,
      payload: parts.payload as JsonObject,
      signature: parts.signature,
    },
    id: String(parts.payload.jti ?? ''),
    fields: [
      ['', { text: 'not verified: nothing was checked', tone: 'warn' }],
      // In quotes, so that `3` and `"3"` differ.
      ...Object.entries(parts.header).map(([name, value]) => [name, stringifySpelled(value)] as const),
      ...claimFields(parts.payload, stringifySpelled),
      ['signature', `${parts.signature.slice(0, 16)}… (not checked)`],
    ],
  };
}

export function tokenList(
  tokens: ReadonlyArray<ListedToken & { kid: string | null }>,
  sub: string,
  now: number,
): ListView {
  const timeOf = (time: number | null) => (time === null ? '-' : relativeTime(time, now));
  const hasSessions = tokens.some(({ refreshExp }) => refreshExp !== null);
  const hasUses = tokens.some(({ lastSeen }) => lastSeen !== undefined);
  const stateOf = ({ exp, isIdle }: ListedToken): Text =>
    isIdle ? { text: 'idle', tone: 'warn' } : exp === null ? '-' : 'live';
  return {
    shape: 'list',
    items: tokens.map((token) => {
      const { jti, kid, iat, exp, meta, refreshExp, lastSeen = null, isIdle: idle } = token;
      return {
        data: { jti, kid, sub, iat, exp, refreshExp, lastSeen, idle, meta },
        id: jti,
        row: [
          ...[jti, kid ?? '(unknown)', relativeTime(iat, now)],
          ...(hasUses ? [timeOf(lastSeen), stateOf(token)] : []),
          timeOf(exp),
          ...(hasSessions ? [timeOf(refreshExp)] : []),
          metaText(meta),
        ],
      };
    }),
    columns: [
      shortenedColumn('jti'),
      shortenedColumn('kid', 1),
      plainColumn('issued', 3),
      ...(hasUses ? [plainColumn('last seen', 2), 'state'] : []),
      'expires',
      ...(hasSessions ? [plainColumn('refreshable until', 4)] : []),
      shortenedColumn('meta', 5),
    ],
    empty: 'The subject has no live tokens.',
  };
}

export function revocation(outcome: RevocationOutcome, dryRun: boolean): Extract<View, { shape: 'record' }> {
  const { revoked, sessions, alreadyGone, replicasConfirmed, complete, missed, withoutMeta } = outcome;
  return {
    shape: 'record',
    data: {
      revoked: dryRun ? 0 : revoked,
      ...(sessions === 0 ? {} : { [dryRun ? 'wouldEndSessions' : 'sessions']: sessions }),
      alreadyGone,
      ...(withoutMeta === undefined ? {} : { withoutMeta }),
      replicasConfirmed,
      complete,
      ...(missed.length === 0 ? {} : { missed }),
      ...(dryRun ? { dryRun: true, wouldRevoke: revoked } : {}),
    },
    id: String(dryRun ? 0 : revoked),
    fields: [
      [dryRun ? 'would revoke' : 'revoked', grouped(revoked)],
      ...(sessions === 0
        ? []
        : [[dryRun ? 'would end sessions' : 'sessions ended', grouped(sessions)] as const]),
      ['already gone', grouped(alreadyGone)],
      ...(dryRun ? [] : [['replicas confirmed', String(replicasConfirmed)] as const]),
      ...(complete ? [] : [['not reached', { text: missed.join('; '), tone: 'bad' }] as const]),
    ],
  };
}

export function metaText(meta: TokenMeta | null): string {
  if (meta === null) return '-';
  return Object.entries(meta)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}

const TIMES = new Set(['exp', 'nbf', 'iat']);

export function claimFields(
  claims: Record<string, unknown>,
  textOf = plainText,
): Array<readonly [string, Text]> {
  return Object.entries(claims).map(([name, value]) => [
    name,
    TIMES.has(name) && Number.isSafeInteger(value) ? `${value} (${isoTime(value as number)})` : textOf(value),
  ]);
}

export function plainText(value: unknown): string {
  return typeof value === 'string' ? value : stringifySpelled(value);
}
