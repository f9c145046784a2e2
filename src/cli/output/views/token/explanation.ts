import { CHECKS, type CheckName } from '../../../../domain/model/refusal-codes.js';
import type { SigningKey } from '../../../../domain/model/signing-key.js';
import type { AuditRow } from '../../../../domain/ports/index.js';
import { stringifySpelled } from '../../../../domain/shared/json-numbers.js';
import type { Explanation } from '../../../../domain/verification/explain.js';
import type { ExplainedEvent } from '../../../../domain/verification/explain-registry.js';
import { remedyOf } from '../../remedy.js';
import { isoTime } from '../../time.js';
import type { JsonObject, Section, Text, View } from '../../view.js';
import { auditRowData } from '../audit.js';
import { keyData } from '../keys/signing-key.js';
import { metaText } from '../tokens.js';
import { checkText, timeText } from './checks.js';

export function explanation(explained: Explanation): View {
  const { result } = explained;
  return {
    shape: 'report',
    data: explanationData(explained),
    id: result.active ? result.payload.jti : result.error.code,
    sections: [
      result.active
        ? titled({ text: '✓ accepted', tone: 'good' })
        : titled({ text: `✗ refused: ${result.error.code} (${result.reason})`, tone: 'bad' }),
      ...CHECKS.map((name) => checkSection(name, explained)),
      contentsSection(explained),
    ],
  };
}

function titled(title: Text, lines: readonly Text[] = []): Section {
  return { title, lines, columns: [], rows: [] };
}

function checkSection(name: CheckName, explained: Explanation): Section {
  const { verdict, refusals } = explained.checks[name];
  const why = refusals.flatMap(({ code, message }) => [
    `  ${message} (${code})`,
    `  What to do: ${remedyOf(code, explained.registry ?? {})}`,
  ]);
  const facts = factsOf[name](explained).map((fact) => `  ${fact}`);
  return titled(checkText(name, verdict), [...why, ...facts]);
}

const factsOf: Record<CheckName, (explained: Explanation) => string[]> = {
  signature: ({ key }) => (key === null ? [] : [...keyFacts(key.key), ...key.history.map(rowText)]),
  claims: ({ contents, now }) => {
    const times = (['iat', 'nbf', 'exp'] as const).flatMap((name) => {
      const time = contents?.payload[name];
      return typeof time === 'number' && Number.isFinite(time)
        ? [`${name}: ${timeText(Math.floor(time), now)}`]
        : [];
    });
    return times;
  },
  registry: ({ registry, now }) => {
    if (registry === null) return [];
    const { slot, node, entry, revocations } = registry;
    return [
      `${slot === null ? '' : `hash slot: ${slot}, `}master: ${node ?? 'unknown'}`,
      entry === null
        ? `entry: not found (jti ${registry.jti})`
        : `entry: issued ${timeText(entry.iat, now)}, expires ${timeText(entry.exp, now)}`,
      ...(entry?.lastSeen === undefined ? [] : [`last seen: ${timeText(entry.lastSeen, now)}`]),
      ...(entry === null || entry.meta === null ? [] : [`meta: ${metaText(entry.meta)}`]),
      ...revocations.map((revocation) => eventText(revocation, now)),
    ];
  },
  user: ({ user, now }) => {
    if (user === null) return [];
    const { sub, lastChange } = user;
    const { status = 'not in the user directory', disabledUntil } = user.user ?? {};
    const until = disabledUntil === undefined ? '' : `, until ${timeText(disabledUntil, now)}`;
    const unknown = status === 'disabled' ? ['the audit log does not say who disabled the user'] : [];
    return [`${sub}: ${status}${until}`, ...(lastChange === null ? unknown : [rowText(lastChange)])];
  },
};

function keyFacts(key: SigningKey): string[] {
  const { createdAt, activatedAt, retiringAt, verifyUntil, retiredAt, compromisedAt } = key;
  const times = {
    created: createdAt,
    active: activatedAt,
    retiring: retiringAt,
    'verifies until': verifyUntil,
  };
  const named = Object.entries({ ...times, retired: retiredAt, compromised: compromisedAt });
  return [
    `key: ${key.kid}, ${key.state}, ${key.alg}`,
    ...named.flatMap(([name, time]) => (time === null ? [] : [`${name}: ${isoTime(time)}`])),
  ];
}

function eventText({ event, origin }: ExplainedEvent, now: number): string {
  const { type, at, reason } = event;
  const who = origin === null ? 'the audit log does not say by whom' : `by ${whom(origin)}`;
  return `${type.replace('_', ' ')} ${timeText(at, now)}, ${who}, reason: ${reason ?? 'none given'}`;
}

function rowText(row: AuditRow): string {
  const { at, action, outcome, reason } = row;
  return `${isoTime(at)} ${action} by ${whom(row)}: ${outcome}${reason === null ? '' : `, reason: ${reason}`}`;
}

/** The login, which the actor cannot choose, is shown if it differs. */
function whom({ actor, login }: AuditRow): string {
  return actor === login ? actor : `${actor} (${login})`;
}

function contentsSection({ contents }: Explanation): Section {
  if (contents === null) return titled('contents: cannot be read');
  const { header, payload, isVerified } = contents;
  return titled(
    isVerified ? 'contents' : { text: 'contents, not verified: anyone may have written them', tone: 'warn' },
    Object.entries({ ...header, ...payload }).map(([name, value]) => `  ${name}: ${stringifySpelled(value)}`),
  );
}

function explanationData(explained: Explanation): JsonObject {
  const { result, kid, checks, contents, key, registry, user, now } = explained;
  const exp = contents?.payload.exp;
  return {
    active: result.active,
    ...(result.active
      ? {}
      : { error: { code: result.error.code, message: result.error.message }, reason: result.reason }),
    kid,
    checks: Object.fromEntries(
      CHECKS.map((name) => {
        const { verdict, refusals } = checks[name];
        const errors = refusals.map(({ code, message }) => ({
          ...{ code, message, hint: remedyOf(code, registry ?? {}) },
        }));
        return [name, { verdict, errors }];
      }),
    ),
    contents:
      contents === null
        ? null
        : {
            verified: contents.isVerified,
            header: contents.header as JsonObject,
            payload: contents.payload as JsonObject,
          },
    ttlSeconds: typeof exp === 'number' && Number.isFinite(exp) ? Math.floor(exp) - now : null,
    key: key && { ...keyData(key.key), history: key.history.map(auditRowData) },
    registry: registry && registryData(registry),
    user: user && {
      sub: user.sub,
      status: user.user?.status ?? 'unknown',
      disabledUntil: user.user?.disabledUntil ?? null,
      lastChange: user.lastChange && auditRowData(user.lastChange),
    },
  };
}

function registryData(registry: NonNullable<Explanation['registry']>): JsonObject {
  const { slot, node, jti, entry, revocations } = registry;
  return {
    ...{ jti, slot, node },
    entry: entry && { iat: entry.iat, exp: entry.exp, lastSeen: entry.lastSeen ?? null, meta: entry.meta },
    revocations: revocations.map(({ event: { id, type, at, issuedBefore, reason }, origin }) => ({
      ...{ id, type, at, issuedBefore, reason },
      origin: origin && auditRowData(origin),
    })),
  };
}
