import { decodeToken, parseCompactJws } from '../jose/jws.js';
import { toVerificationKey } from '../jose/verification-key.js';
import { isKid } from '../model/kid.js';
import { isLegacyId } from '../model/legacy-id.js';
import { CHECKS, type CheckName, checkOf, type Refusal } from '../model/refusal-codes.js';
import type { SigningKey } from '../model/signing-key.js';
import type {
  AuditLog,
  AuditRow,
  KeyStore,
  ListedEntry,
  SecurityEvent,
  SecurityLog,
  TokenRegistry,
  User,
  UserDirectory,
} from '../ports/index.js';
import { claimsRefusals } from './check-claims.js';
import { checkKey, parseJws } from './check-jws.js';
import { checkEntry, checkUser } from './check-status.js';
import { disablingOf, historyOf, isUserChange, originOf, readRowsAt, timesOf } from './event-origin.js';
import { chooseJti, findTokenKey, readClaims, type TokenClaims } from './explain-names.js';
import { coveringEvents, type ExplainedRegistry, entryOf } from './explain-registry.js';
import { checkType } from './token-type.js';
import { type Verification, type VerificationPorts, verifyWithKey } from './verify.js';

export interface ExplainPorts {
  /** The same as for a verification, so that both come to the same result. */
  verification: VerificationPorts;
  keys: Pick<KeyStore, 'snapshot'>;
  securityLog: Pick<SecurityLog, 'findConcerning'>;
  auditLog: Pick<AuditLog, 'list'>;
  registry: Pick<TokenRegistry, 'list' | 'locate'>;
  users: Pick<UserDirectory, 'find'>;
}

export interface ExplainedCheck {
  verdict: 'passed' | 'refused' | 'not_checked';
  refusals: ReadonlyArray<Refusal['error']>;
}

export interface Explanation extends Pick<Verification, 'result' | 'kid'> {
  now: number;
  checks: Record<CheckName, ExplainedCheck>;
  /** Null if the token cannot be read. */
  contents: { header: Record<string, unknown>; payload: Record<string, unknown>; isVerified: boolean } | null;
  /** The key, and who changed its state, the newest first. */
  key: { key: SigningKey; history: AuditRow[] } | null;
  /** Null without a usable `sub`. */
  registry: ExplainedRegistry | null;
  /** Null without a usable `sub`. */
  user: { sub: string; user: User | null; lastChange: AuditRow | null } | null;
}

/**
 * Performs every check that is possible, and collects the facts behind it. The result is that of a verification: a check that
 * refuses there refuses here, whatever has changed in between.
 */
export async function explainToken(token: string, ports: ExplainPorts): Promise<Explanation> {
  const { verification, securityLog, registry, users } = ports;
  const verified = await verifyWithKey(token, verification);
  const now = verification.now();
  const facts = notRead(verified, now);
  const decoded = decodeToken(token);
  const jws = parseCompactJws(token);
  if (typeof decoded === 'string' || typeof jws === 'string') return facts;

  const { header } = decoded;
  const acceptsLegacy = now < (verification.legacy?.acceptUntil ?? 0);
  const claims = readClaims(jws, acceptsLegacy);
  const { sub, jtis } = claims;
  const [{ keys }, entries, location, user] = await Promise.all([
    ports.keys.snapshot(),
    sub === null ? [] : registry.list(sub, now, { jtis }),
    sub === null ? null : registry.locate(sub),
    sub === null ? null : users.find(sub),
  ]);
  const key = await findTokenKey(token, { kid: verified.kid ?? header.kid, jtis }, keys, entries);
  const kid = key?.kid ?? (isKid(header.kid) ? header.kid : null);
  const events = sub === null ? [] : await findEvents(securityLog, { sub, jtis, kid });
  const { jti, isFound } = chooseJti(claims, verified, entries, events);
  const named = { ...claims, sub: sub ?? '', jti };
  const entry = entryOf(entries, named, key);
  const covering = coveringEvents(events, named, kid);
  const change = events.findLast(({ type }) => isUserChange(type));
  const times = [...covering, ...(change === undefined ? [] : [change])].map(({ at }) => at);
  const rows = await readRowsAt(ports.auditLog, [
    ...times,
    ...(key === null ? [] : timesOf(key)),
    user?.updatedAt,
  ]);

  const isLegacy = isLegacyId(jti) && (isFound || acceptsLegacy);
  const further = await furtherRefusals(
    verification,
    { ...claims, jti, token, header, key, entry, isLegacy, user },
    now,
  );
  const checks = { ...facts.checks };
  for (const name of CHECKS)
    if (checks[name].verdict !== 'passed') checks[name] = joined(checks[name], further[name]);
  const lastChange = change === undefined ? user && disablingOf(user, rows) : originOf(change, rows);
  const revocations = covering.map((event) => ({ event, origin: originOf(event, rows, kid) }));
  return {
    ...facts,
    checks,
    // The decoded payload has the digits of large numbers as text, for people.
    contents: { ...decoded, isVerified: checks.signature.verdict === 'passed' },
    key: key && { key, history: historyOf(key, rows) },
    registry: location && { ...location, sub: named.sub, jti, entry, revocations },
    user: sub === null ? null : { sub, user, lastChange },
  };
}

/** Returns the explanation of a text that is no token. */
export function notRead({ result, kid, passed }: Verification, now: number): Explanation {
  const checks = checksOf({ result, kid, passed });
  return { result, kid, now, checks, contents: null, key: null, registry: null, user: null };
}

function checksOf({ result, passed }: Verification): Record<CheckName, ExplainedCheck> {
  const of = (name: CheckName): ExplainedCheck => {
    if (passed.includes(name)) return { verdict: 'passed', refusals: [] };
    if (result.active || checkOf(result.error.code) !== name) return { verdict: 'not_checked', refusals: [] };
    return { verdict: 'refused', refusals: [result.error] };
  };
  return { signature: of('signature'), claims: of('claims'), registry: of('registry'), user: of('user') };
}

/** @param further null if the check could not be performed */
function joined({ refusals }: ExplainedCheck, further: readonly Refusal[] | null): ExplainedCheck {
  const known = new Set(refusals.map(({ message }) => message));
  const added = (further ?? []).map(({ error }) => error).filter(({ message }) => !known.has(message));
  const all = [...refusals, ...added];
  if (all.length > 0) return { verdict: 'refused', refusals: all };
  return { verdict: further === null ? 'not_checked' : 'passed', refusals: [] };
}

async function findEvents(
  securityLog: Pick<SecurityLog, 'findConcerning'>,
  { sub, jtis, kid }: { sub: string; jtis: readonly string[]; kid: string | null },
): Promise<SecurityEvent[]> {
  const found = await Promise.all(
    jtis.map((jti) => securityLog.findConcerning({ sub, jti, kid: kid ?? '' })),
  );
  const byId = new Map(found.flat().map((event) => [event.id, event]));
  return [...byId.values()].sort((a, b) => a.id - b.id);
}

interface Facts extends TokenClaims {
  token: string;
  header: Record<string, unknown>;
  jti: string;
  key: SigningKey | null;
  entry: ListedEntry | null;
  isLegacy: boolean;
  user: User | null;
}

/** Performs the checks that a verification does not reach. Null: a check that cannot be performed. */
async function furtherRefusals(
  { findStatus, policy }: VerificationPorts,
  { token, header, payload, sub, jti, iat: issuedAt, exp, key, entry, isLegacy, user }: Facts,
  now: number,
): Promise<Record<CheckName, Refusal[] | null>> {
  const claims = [
    ...listed(checkType(header, policy.acceptTypes)),
    ...claimsRefusals(payload, policy, now, { isLegacy }),
  ];
  const signature = key === null ? null : listed(await signatureRefusal(token, key));
  const ofUser = sub === null ? null : listed(checkUser({ user: user?.status ?? 'unknown' }));
  if (key === null || sub === null) return { signature, claims, registry: null, user: ofUser };
  const { kid } = key;
  // For a legacy token without iat, the entry has the time of its registration.
  const iat = isLegacy && issuedAt === 0 ? (entry?.iat ?? 0) : issuedAt;
  const status = await findStatus({ sub, jti, kid, iat, exp, issuedAt });
  return { signature, claims, registry: listed(checkEntry(status, { iat, exp }, kid)), user: ofUser };
}

async function signatureRefusal(token: string, key: SigningKey): Promise<Refusal | null> {
  const jws = parseJws(token);
  return 'active' in jws ? jws : checkKey(jws, toVerificationKey(key));
}

function listed(refusal: Refusal | null): Refusal[] {
  return refusal === null ? [] : [refusal];
}
