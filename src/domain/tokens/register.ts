import { writeAuditRow } from '../audit-log/write-audit-row.js';
import { toVerificationKey } from '../jose/verification-key.js';
import { type Refusal, refuse } from '../model/refusal-codes.js';
import { isTrusted, isVerifyOnly, type SigningKey } from '../model/signing-key.js';
import type {
  Clock,
  Database,
  EntryStore,
  OnLimit,
  Registration,
  TokenStatusReader,
  User,
  UserDirectory,
} from '../ports/index.js';
import type { NamedEntry } from '../registry/group-entries.js';
import { registerMany } from '../registry/register-many.js';
import { RegistrationPlan } from '../registry/registration-plan.js';
import { removeNamedEntries } from '../registry/remove-named-entries.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { readEvents } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import { type ClaimsPolicy, checkClaims } from '../verification/check-claims.js';
import { checkJws } from '../verification/check-jws.js';
import { checkStatus } from '../verification/check-status.js';
import { explainRefusal } from '../verification/explain-refusal.js';
import { checkLifetime, type RaisedLifetime, raiseLifetimes } from './external-lifetime.js';
import type { IssuedToken } from './issued-token.js';
import { checkLegacyRegistration, looksLegacy } from './register-legacy.js';

export interface RegisterPorts {
  database: Database;
  registry: EntryStore & TokenStatusReader;
  users: UserDirectory;
  clock: Clock;
}

export interface RegisterPolicy extends ClaimsPolicy {
  maxTtlSeconds: number;
  statusTtlSeconds: number;
  maxPerSubject?: number | undefined;
  onLimit?: OnLimit | undefined;
}

export type RegisteredToken = Omit<IssuedToken, 'token' | 'aud'> & {
  /** Null for a legacy token without `aud`. */
  aud: string | string[] | null;
};

export interface RegisterOptions {
  dryRun: boolean;
  /** For a dry run of several batches. Default: a new one */
  plan?: RegistrationPlan | undefined;
  /** Whether to register tokens that lack `kid`, `jti`, `iat`, `iss`, or `aud`, too. Default: false. */
  legacy?: boolean | undefined;
}

export interface RegisterReport {
  outcomes: Array<RegisteredToken | JwtctlError>;
  /** Refused tokens that `legacy` may register. */
  refusedLegacy: number;
  raised: RaisedLifetime[];
  /** How many of the outcomes were registered before. */
  known: number;
}

/**
 * Registers external tokens signed with known keys, after the checks of a verification. Is safe to repeat.
 * The longest lifetime under a key decides how long the key verifies and how long the security log keeps
 * events. So it is raised before a longer token is registered. A key that no longer signs must outlive the
 * token. Revocations that the log no longer has cannot be detected.
 * @throws errors of the stores, after which some tokens may be registered
 */
export async function registerTokens(
  ports: RegisterPorts,
  policy: RegisterPolicy,
  tokens: readonly string[],
  { dryRun, plan = new RegistrationPlan(ports.registry), legacy: acceptsLegacy = false }: RegisterOptions,
): Promise<RegisterReport> {
  const now = ports.clock.now();
  const outcomes: RegisterReport['outcomes'] = [];
  let refusedLegacy = 0;
  const refuseAt = ({ index }: { index: number }, { error }: Refusal) => {
    const token = tokens[index] as string;
    const isLegacy = !acceptsLegacy && looksLegacy(token, error.code);
    if (isLegacy) refusedLegacy += 1;
    outcomes[index] = explainRefusal(token, error, { isLegacy });
  };
  const refuseUser: Refuse = (candidate, refusal) => {
    const missing = refusal.error.code === 'ERR_USER_UNKNOWN' ? ports.users.missing : undefined;
    const error = missing?.(candidate.claims.sub);
    if (error === undefined) return refuseAt(candidate, refusal);
    outcomes[candidate.index] = new JwtctlError(error.code, error.message, {
      ...{ kind: 'refused', hint: error.hint },
    });
  };
  const signed = await checkTokens(ports, policy, now, tokens, refuseAt, acceptsLegacy);
  const users = await ports.users.findMany(subjectsOf(signed));
  const accepted = await checkStatuses(ports, signed, users, refuseUser);
  const { candidates, raised } = await raiseLifetimes(ports, policy, accepted, { now, dryRun });
  const valid = candidates.filter((candidate) => {
    const refusal = checkLifetime(candidate, policy, now);
    if (refusal !== null) refuseAt(candidate, refusal);
    return refusal === null;
  });
  for (const { index, key, claims } of valid) {
    const { jti, sub, aud, iat, exp } = claims;
    outcomes[index] = { jti, kid: key.kid, sub, aud, iat, exp };
  }
  const registrations = valid.map((candidate) => registrationOf(candidate, users, policy, now));
  const registered = await (dryRun
    ? plan.predictMany(registrations)
    : registerMany(ports.registry, registrations));
  for (const [position, { index }] of valid.entries()) {
    const outcome = registered[position];
    if (outcome instanceof JwtctlError) outcomes[index] = outcome;
  }
  const before = valid.filter((_, position) => registered[position] === 'known');
  if (dryRun) return { outcomes, refusedLegacy, raised, known: before.length };

  // Checked again, because a revocation removes only entries that exist by then, and `keys retire` counts only those.
  const trusted = await checkVerifyOnlyKeys(ports, valid, refuseAt);
  const kept = new Set(await checkStatuses(ports, trusted, users, refuseUser));
  const refused = valid.filter((candidate) => !kept.has(candidate));
  await removeNamedEntries(ports.registry, refused.map(nameOf), now);
  const known = before.filter(({ index }) => !(outcomes[index] instanceof JwtctlError)).length;
  return { outcomes, refusedLegacy, raised, known };
}

/** Writes an audit row. @throws JwtctlError the reason for a refusal; errors of the stores */
export async function registerToken(
  ports: RegisterPorts & { actor: string },
  policy: RegisterPolicy,
  token: string,
  options: RegisterOptions,
): Promise<{ registered: RegisteredToken } & Pick<RegisterReport, 'raised' | 'known'>> {
  const { outcomes, raised, known } = await registerTokens(ports, policy, [token], options);
  const [registered] = outcomes as [RegisteredToken | JwtctlError];
  if (registered instanceof JwtctlError) throw registered;
  if (!options.dryRun) {
    const target = `${registered.sub} ${registered.jti}`;
    await writeAuditRow(ports, { action: 'token.register', target, outcome: 'done', reason: null });
  }
  return { registered, raised, known };
}

interface Candidate {
  index: number;
  key: SigningKey;
  claims: RegisteredClaims;
  /** See {@link LegacyRegistration}. Default: the `iat`. */
  issuedAt?: number;
}

interface RegisteredClaims {
  sub: string;
  /** For a legacy token, its registry ID. */
  jti: string;
  iat: number;
  exp: number;
  aud: string | string[] | null;
}

type Refuse = (candidate: Candidate, refusal: Refusal) => void;

async function checkTokens(
  { database, registry }: RegisterPorts,
  policy: RegisterPolicy,
  now: number,
  tokens: readonly string[],
  refuseAt: (token: { index: number }, refusal: Refusal) => void,
  acceptsLegacy: boolean,
): Promise<Candidate[]> {
  // Read for each batch, because checkLifetime needs the current states.
  const { keys } = await database.keys.snapshot();
  const known = new Map(keys.map((key) => [key.kid, { ...toVerificationKey(key), row: key }]));
  const findKey = (kid: string) => known.get(kid) ?? null;
  const checked = tokens.map(async (token, index): Promise<Candidate[]> => {
    const jws = await checkJws(token, { findKey }, policy);
    const result = 'active' in jws ? jws : checkClaims(jws.payload, policy, now);
    if (!('active' in jws || 'active' in result)) {
      return [{ index, key: jws.key.row, claims: result.claims }];
    }
    const refusal = result as Refusal;
    const legacy = acceptsLegacy
      ? await checkLegacyRegistration(token, refusal, { keys: [...known.values()], registry }, policy, now)
      : refusal;
    if (!('active' in legacy)) {
      const { key, id, claims, issuedAt } = legacy;
      return [{ index, key: key.row, claims: { ...claims, jti: id }, issuedAt }];
    }
    refuseAt({ index }, legacy);
    return [];
  });
  return (await Promise.all(checked)).flat();
}

async function checkStatuses(
  { database: { securityLog } }: RegisterPorts,
  candidates: readonly Candidate[],
  users: Map<string, User>,
  refuseAt: Refuse,
): Promise<Candidate[]> {
  if (candidates.length === 0) return [];
  const events = await readEvents(
    securityLog,
    candidates.map(({ claims }) => claims),
  );
  return candidates.filter((candidate) => {
    const { claims, key, issuedAt = claims.iat } = candidate;
    const { sub, jti, iat, exp } = claims;
    const revoked = events.covers({ sub, jti, kid: key.kid, iat: issuedAt });
    const tokenStatus = {
      entry: { kid: key.kid, iat, exp },
      revoked,
      user: users.get(sub)?.status ?? ('unknown' as const),
    };
    const isUncertain = revoked && !events.covers({ sub, jti, kid: key.kid, iat });
    const refusal = isUncertain ? mayBeRevoked() : checkStatus(tokenStatus, claims, key.kid);
    if (refusal !== null) refuseAt(candidate, refusal);
    return refusal === null;
  });
}

/** Refuses tokens whose key was retired meanwhile. A retirement that has not counted them has to count again. */
async function checkVerifyOnlyKeys(
  { database }: RegisterPorts,
  candidates: readonly Candidate[],
  refuseAt: Refuse,
): Promise<readonly Candidate[]> {
  const kids = new Set(candidates.flatMap(({ key }) => (isVerifyOnly(key) ? [key.kid] : [])));
  for (const kid of kids) {
    const key = await database.transaction(async ({ keys }) => {
      await keys.raiseRevision();
      return keys.find(kid);
    });
    if (key !== null && isTrusted(key.state)) kids.delete(kid);
  }
  return candidates.filter((candidate) => {
    const { kid } = candidate.key;
    if (!kids.has(kid)) return true;
    const message = `Key ${kid} was retired while the token was being registered.`;
    refuseAt(candidate, refuse('ERR_KEY_NOT_TRUSTED', message));
    return false;
  });
}

function mayBeRevoked(): Refusal {
  return refuse(
    'ERR_TOKEN_REVOKED',
    'Tokens of its user, of its key, or of all users were revoked up to a time. The token has no iat, so it may be one of them.',
  );
}

function registrationOf(
  { key, claims: { sub, jti, iat, exp } }: Candidate,
  users: Map<string, User>,
  { statusTtlSeconds, maxPerSubject, onLimit }: RegisterPolicy,
  now: number,
): Registration {
  const user = users.get(sub);
  return {
    sub,
    entry: { jti, keyId: key.id, iat, exp },
    now,
    user: user && knownStatus(user, now, statusTtlSeconds),
    maxPerSubject,
    onLimit,
  };
}

function nameOf({ key, claims: { sub, jti, iat } }: Candidate): NamedEntry {
  return { sub, entry: { jti, keyId: key.id, iat } };
}

function subjectsOf(candidates: readonly Candidate[]): string[] {
  return [...new Set(candidates.map(({ claims }) => claims.sub))];
}
