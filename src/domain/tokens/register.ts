import { writeAuditRow } from '../audit-log/write-audit-row.js';
import { publicJwk } from '../jose/jwk-set.js';
import type { VerificationKey } from '../jose/verification-key.js';
import { type Refusal, refuse } from '../model/refusal.js';
import type { SigningKey } from '../model/signing-key.js';
import type {
  Clock,
  Database,
  EntryStore,
  Registration,
  TokenStatusReader,
  User,
  UserDirectory,
} from '../ports/index.js';
import type { NamedEntry } from '../registry/group-entries.js';
import { registerMany } from '../registry/register-many.js';
import { removeNamedEntries } from '../registry/remove-named-entries.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { readEvents } from '../security-log/revocation-index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { type Claims, type ClaimsPolicy, checkClaims } from './claims.js';
import type { IssuedToken } from './issued-token.js';
import { checkJws, checkStatus } from './verify.js';

/** An `exp` beyond this is probably in milliseconds, and would keep its key forever. */
const MAX_LIFETIME_SECONDS = 100 * 365 * 86_400;

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
}

export type RegisteredToken = Omit<IssuedToken, 'token'>;

export interface RegisterReport {
  outcomes: Array<RegisteredToken | JwtctlError>;
  /** Keys whose longest known lifetime was raised. */
  raised: Array<{ kid: string; maxTtlSeconds: number }>;
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
  { dryRun }: { dryRun: boolean },
): Promise<RegisterReport> {
  const now = ports.clock.now();
  const outcomes: RegisterReport['outcomes'] = [];
  const refuseAt = ({ index }: { index: number }, { error }: Refusal) => {
    outcomes[index] = new JwtctlError(error.code, error.message, { kind: 'refused' });
  };
  const signed = await checkTokens(ports, policy, now, tokens, refuseAt);
  const users = await ports.users.findMany(subjectsOf(signed));
  const accepted = await checkStatuses(ports, signed, users, refuseAt);
  const { candidates, raised } = await raiseLifetimes(ports, accepted, { now, dryRun });
  const valid = candidates.filter((candidate) => {
    const refusal = checkLifetime(candidate, policy, now);
    if (refusal !== null) refuseAt(candidate, refusal);
    return refusal === null;
  });
  for (const { index, key, claims } of valid) {
    const { jti, sub, aud, iat, exp } = claims;
    outcomes[index] = { jti, kid: key.kid, sub, aud, iat, exp };
  }
  if (dryRun) return { outcomes, raised };

  const registrations = valid.map((candidate) => registrationOf(candidate, users, policy, now));
  const errors = await registerMany(ports.registry, registrations);
  for (const [position, { index }] of valid.entries()) {
    const error = errors[position] ?? null;
    if (error !== null) outcomes[index] = error;
  }
  // Checked again, because a revocation removes only entries that exist by then.
  const kept = new Set(await checkStatuses(ports, valid, users, refuseAt));
  const refused = valid.filter((candidate) => !kept.has(candidate));
  await removeNamedEntries(ports.registry, refused.map(nameOf), now);
  return { outcomes, raised };
}

/** Writes an audit row. @throws JwtctlError the reason for a refusal; errors of the stores */
export async function registerToken(
  ports: RegisterPorts & { actor: string },
  policy: RegisterPolicy,
  token: string,
  options: { dryRun: boolean },
): Promise<{ registered: RegisteredToken; raised: RegisterReport['raised'] }> {
  const { outcomes, raised } = await registerTokens(ports, policy, [token], options);
  const [registered] = outcomes as [RegisteredToken | JwtctlError];
  if (registered instanceof JwtctlError) throw registered;
  if (!options.dryRun) {
    const target = `${registered.sub} ${registered.jti}`;
    await writeAuditRow(ports, { action: 'token.register', target, outcome: 'done', reason: null });
  }
  return { registered, raised };
}

interface Candidate {
  index: number;
  key: SigningKey;
  claims: Claims;
}

type Refuse = (candidate: { index: number }, refusal: Refusal) => void;

async function checkTokens(
  { database }: RegisterPorts,
  policy: RegisterPolicy,
  now: number,
  tokens: readonly string[],
  refuseAt: Refuse,
): Promise<Candidate[]> {
  // Read for each batch, because checkLifetime needs the current states.
  const { keys } = await database.keys.snapshot();
  const known = new Map(keys.map((key) => [key.kid, { ...toVerificationKey(key), row: key }]));
  const findKey = (kid: string) => known.get(kid) ?? null;
  const checked = tokens.map(async (token, index): Promise<Candidate[]> => {
    const jws = await checkJws(token, { findKey });
    const result = 'active' in jws ? jws : checkClaims(jws.payload, policy, now);
    if ('active' in jws || 'active' in result) {
      refuseAt({ index }, result as Refusal);
      return [];
    }
    return [{ index, key: jws.key.row, claims: result.claims }];
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
    const { claims, key } = candidate;
    const { sub, jti, iat, exp } = claims;
    const tokenStatus = {
      entry: { kid: key.kid, iat, exp },
      revoked: events.covers({ sub, jti, kid: key.kid, iat }),
      user: users.get(sub)?.status ?? ('unknown' as const),
    };
    const refusal = checkStatus(tokenStatus, claims, key.kid);
    if (refusal !== null) refuseAt(candidate, refusal);
    return refusal === null;
  });
}

/** Raises the longest lifetimes of active keys. Reads keys again that no longer sign. */
async function raiseLifetimes(
  { database }: RegisterPorts,
  candidates: readonly Candidate[],
  { now, dryRun }: { now: number; dryRun: boolean },
): Promise<{ candidates: Candidate[]; raised: RegisterReport['raised'] }> {
  const longest = new Map<string, number>();
  for (const { key, claims } of candidates) {
    if (key.state !== 'active' || !isPlausible(claims, now)) continue;
    longest.set(
      key.kid,
      Math.max(longest.get(key.kid) ?? key.maxTtlSeconds ?? 0, remainingSeconds(claims, now)),
    );
  }
  const raised: RegisterReport['raised'] = [];
  const changed = new Map<string, SigningKey>();
  for (const [kid, seconds] of longest) {
    const known = candidates.find(({ key }) => key.kid === kid)?.key.maxTtlSeconds ?? 0;
    if (seconds <= known) continue;
    const isActive = dryRun || (await database.transaction(({ keys }) => keys.raiseMaxTtl(kid, seconds)));
    if (isActive) {
      raised.push({ kid, maxTtlSeconds: seconds });
      continue;
    }
    const key = await database.keys.find(kid);
    if (key !== null) changed.set(kid, key);
  }
  const current = candidates.map((candidate) => ({
    ...candidate,
    key: changed.get(candidate.key.kid) ?? candidate.key,
  }));
  return { candidates: current, raised };
}

function checkLifetime({ key, claims }: Candidate, policy: RegisterPolicy, now: number): Refusal | null {
  const { kid, state, verifyUntil } = key;
  if (!isPlausible(claims, now)) {
    return refuse(
      'ERR_CLAIM_INVALID',
      `The token's exp is more than 100 years in the future (exp ${claims.exp}).`,
    );
  }
  switch (state) {
    case 'active':
      return null;
    case 'retiring': {
      const left = (verifyUntil ?? now) - policy.clockToleranceSeconds - now;
      const excess = remainingSeconds(claims, now) - left;
      if (excess <= 0) return null;
      return refuse(
        'ERR_KEY_NOT_TRUSTED',
        `Key ${kid} is retiring and verifies for another ${formatDuration(left)}; the token would outlive it by ${formatDuration(excess)}.`,
      );
    }
    case 'pending': {
      const longest = formatDuration(policy.maxTtlSeconds);
      if (remainingSeconds(claims, now) <= policy.maxTtlSeconds) return null;
      return refuse(
        'ERR_KEY_NOT_TRUSTED',
        `Key ${kid} is pending, so the token must expire within token.maxTtl (${longest}).`,
      );
    }
    case 'retired':
    case 'compromised':
      return refuse('ERR_KEY_NOT_TRUSTED', `Key ${kid} is ${state}.`);
  }
}

function isPlausible(claims: Claims, now: number): boolean {
  return remainingSeconds(claims, now) <= MAX_LIFETIME_SECONDS;
}

function remainingSeconds({ exp }: Claims, now: number): number {
  return exp - now;
}

function registrationOf(
  { key, claims: { sub, jti, iat, exp } }: Candidate,
  users: Map<string, User>,
  { statusTtlSeconds, maxPerSubject }: RegisterPolicy,
  now: number,
): Registration {
  const user = users.get(sub);
  return {
    sub,
    entry: { jti, keyId: key.id, iat, exp },
    now,
    user: user && knownStatus(user, now, statusTtlSeconds),
    maxPerSubject,
  };
}

function nameOf({ key, claims: { sub, jti, iat } }: Candidate): NamedEntry {
  return { sub, entry: { jti, keyId: key.id, iat } };
}

function subjectsOf(candidates: readonly Candidate[]): string[] {
  return [...new Set(candidates.map(({ claims }) => claims.sub))];
}

function toVerificationKey(key: SigningKey): VerificationKey {
  return { kid: key.kid, alg: key.alg, state: key.state, jwk: { ...publicJwk(key) } };
}
