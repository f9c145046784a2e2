import { type CompactJws, decodeToken, parseCompactJws, parseJsonObject } from '../jose/jws.js';
import { isJti } from '../model/jti.js';
import { isKid } from '../model/kid.js';
import { legacyId } from '../model/legacy-id.js';
import { CHECKS, type CheckName, checkOf, type Refusal } from '../model/refusal-codes.js';
import type { SigningKey } from '../model/signing-key.js';
import { subjectFault } from '../model/subject.js';
import type { AuditRow, Database, TokenRegistry, User, UserDirectory } from '../ports/index.js';
import { claimsRefusals } from './check-claims.js';
import { isLegacy } from './check-legacy.js';
import { checkEntry, checkUser } from './check-status.js';
import { findOrigin } from './event-origin.js';
import { type ExplainedRegistry, explainRegistry } from './explain-registry.js';
import { type Verification, type VerificationPorts, verifyWithKey } from './verify.js';

export interface ExplainPorts {
  /** The same as for a verification, so that both come to the same result. */
  verification: VerificationPorts;
  database: Pick<Database, 'keys' | 'securityLog' | 'auditLog'>;
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
  const { verification, database, registry, users } = ports;
  const verified = await verifyWithKey(token, verification);
  const now = verification.now();
  const facts = { ...notRead(verified, now), checks: checksOf(verified) };
  const decoded = decodeToken(token);
  const jws = parseCompactJws(token);
  if (typeof decoded === 'string' || typeof jws === 'string') return facts;

  const { header } = decoded;
  // The decoded one has the digits of large numbers as text, for people.
  const payload = parseJsonObject(jws.payload) ?? {};
  const isVerified = verified.passed.includes('signature');
  const kid = verified.kid ?? (isKid(header.kid) ? header.kid : null);
  const key = kid === null ? null : await database.keys.find(kid);
  const mayBeLegacy = (verification.legacy?.acceptUntil ?? null) !== null;
  const hasKey = key !== null && header.kid === kid;
  const isRegisteredAsLegacy = mayBeLegacy && isLegacy(payload, { hasKey });
  const names = { ...namesIn(jws, payload, verified, isRegisteredAsLegacy), kid };
  const { sub } = names;
  const [history, ofRegistry, user] = await Promise.all([
    key === null ? [] : newest(database.auditLog.list({ target: key.kid })),
    sub === null ? null : explainRegistry({ database, registry }, { ...names, sub, key }, now),
    sub === null ? null : explainUser({ database, users }, sub),
  ]);
  const refusals = await furtherRefusals(ports, { ...names, key, payload }, user?.user ?? null, now);
  for (const name of CHECKS) {
    if (facts.checks[name].verdict !== 'passed')
      facts.checks[name] = joined(facts.checks[name], refusals[name]);
  }
  return {
    ...facts,
    contents: { header, payload: decoded.payload, isVerified },
    key: key && { key, history },
    registry: ofRegistry,
    user,
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

interface TokenNames {
  kid: string | null;
  sub: string | null;
  /** For a legacy token, its registry ID. */
  jti: string;
  /** 0 if the token has none. */
  iat: number;
  exp: number;
}

function namesIn(
  { signingInput }: CompactJws,
  payload: Record<string, unknown>,
  { result }: Verification,
  isRegisteredAsLegacy: boolean,
): Omit<TokenNames, 'kid'> {
  const claims = result.active ? result.payload : payload;
  const { sub, iat, exp } = claims;
  return {
    sub: typeof sub === 'string' && subjectFault(sub) === null ? sub : null,
    jti: isJti(claims.jti) && !isRegisteredAsLegacy ? claims.jti : legacyId(signingInput),
    iat: typeof iat === 'number' ? Math.ceil(iat) : 0,
    exp: typeof exp === 'number' ? Math.floor(exp) : 0,
  };
}

type Named = TokenNames & { key: SigningKey | null; payload: Record<string, unknown> };

/** Performs the checks that a verification does not reach. Null: a check that cannot be performed. */
async function furtherRefusals(
  { verification }: ExplainPorts,
  { kid, sub, jti, iat, exp, key, payload }: Named,
  user: User | null,
  now: number,
): Promise<Record<CheckName, Refusal[] | null>> {
  const none = { signature: null, claims: claimsRefusals(payload, verification.policy, now) };
  const ofUser = checkUser({ user: user?.status ?? 'unknown' });
  const onlyUser = sub === null ? null : listed(ofUser);
  if (kid === null || key === null || sub === null) return { ...none, registry: null, user: onlyUser };
  const status = await verification.findStatus({ sub, jti, kid, iat, exp, issuedAt: iat });
  return {
    ...none,
    registry: listed(checkEntry(status, { iat, exp }, kid)),
    user: listed(checkUser(status)),
  };
}

function listed(refusal: Refusal | null): Refusal[] {
  return refusal === null ? [] : [refusal];
}

async function explainUser(
  { database, users }: Pick<ExplainPorts, 'database' | 'users'>,
  sub: string,
): Promise<Explanation['user']> {
  const { auditLog, securityLog } = database;
  const [user, events] = await Promise.all([users.find(sub), securityLog.findNaming([{ sub, jti: null }])]);
  const change = events.findLast(({ type }) => USER_CHANGES.has(type));
  if (change !== undefined) return { sub, user, lastChange: await findOrigin(auditLog, change) };
  if (user?.status !== 'disabled') return { sub, user, lastChange: null };
  // The event of a change long ago has expired.
  const [row = null] = await newest(auditLog.list({ target: sub, action: 'users.disable' }), 1);
  return { sub, user, lastChange: row };
}

const USER_CHANGES: ReadonlySet<string> = new Set(['user_disabled', 'user_enabled', 'user_removed']);

/** More rows about one thing are rarely useful. */
const MOST_ROWS = 20;

async function newest(rows: AsyncIterable<AuditRow>, most = MOST_ROWS): Promise<AuditRow[]> {
  const found: AuditRow[] = [];
  for await (const row of rows) {
    found.push(row);
    if (found.length === most) break;
  }
  return found;
}
