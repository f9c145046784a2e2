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
import { entriesBySubject } from '../registry/group-entries.js';
import { registerMany } from '../registry/register-many.js';
import { removeEntriesInBatches } from '../registry/remove-entries.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { readEvents } from '../security-log/revocation-index.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { type Claims, type ClaimsPolicy, checkClaims } from './claims.js';
import type { IssuedToken } from './issued-token.js';
import { checkJws, checkStatus } from './verify.js';

/** An `exp` that is further ahead counts milliseconds where seconds were meant, and would keep its key for good. */
const LONGEST_LIFE_SECONDS = 100 * 365 * 86_400;

export interface RegisterPorts {
  database: Database;
  registry: EntryStore & TokenStatusReader;
  users: UserDirectory;
  clock: Clock;
}

export interface RegisterPolicy extends ClaimsPolicy {
  maxTtlSeconds: number;
  statusTtlSeconds: number;
  /** How many live tokens a subject may have; the oldest makes room. */
  maxPerSubject?: number;
}

/** What is told of a token that was adopted: whoever asked has the token itself. */
export type RegisteredToken = Omit<IssuedToken, 'token'>;

export interface RegisterReport {
  /** For each token, in their order. */
  outcomes: Array<RegisteredToken | JwtctlError>;
  /** Keys that have to verify for longer than was known, once they stop signing. */
  raised: Array<{ kid: string; maxTtlSeconds: number }>;
}

/**
 * Registers tokens that were signed elsewhere with keys of ours. Each is checked like in a verification but for its entry;
 * to register one again changes nothing. With `dryRun` they are only checked.
 *
 * For how long a key verifies after it stopped signing, and for how long the security log remembers, follows from the
 * longest lifetime that a token under the key is known to have. So what a token still has to live is noted with the key
 * before the token counts, where it is longer; where the key signs no more it is too late for that, and a token that
 * would outlive the key is refused. What the log had forgotten before, it cannot tell: a token that was given a longer
 * lifetime than any that was known, and was revoked so long ago, is taken.
 *
 * @throws JwtctlError what the stores throw; some of the tokens may have been registered then
 */
export async function registerTokens(
  ports: RegisterPorts,
  policy: RegisterPolicy,
  tokens: readonly string[],
  { dryRun }: { dryRun: boolean },
): Promise<RegisterReport> {
  const now = ports.clock.now();
  const outcomes: RegisterReport['outcomes'] = [];
  const refuseAt = ({ place }: { place: number }, { error }: Refusal) => {
    outcomes[place] = new JwtctlError(error.code, error.message, { kind: 'refused' });
  };
  const signed = await checkTokens(ports, policy, now, tokens, refuseAt);
  const users = await ports.users.findMany(subjectsOf(signed));
  const tokenStatus = await checkStatuses(ports, signed, users, refuseAt);
  const { candidates, raised } = await noteLifetimes(ports, tokenStatus, { now, dryRun });
  const lasting = candidates.filter((candidate) => {
    const refusal = checkLifetime(candidate, policy, now);
    if (refusal !== null) refuseAt(candidate, refusal);
    return refusal === null;
  });
  for (const { place, key, claims } of lasting) {
    const { jti, sub, aud, iat, exp } = claims;
    outcomes[place] = { jti, kid: key.kid, sub, aud, iat, exp };
  }
  if (dryRun) return { outcomes, raised };

  const registrations = lasting.map((candidate) => registrationOf(candidate, users, policy, now));
  const errors = await registerMany(ports.registry, registrations);
  for (const [index, { place }] of lasting.entries()) {
    const error = errors[index] ?? null;
    if (error !== null) outcomes[place] = error;
  }
  // Asked again now that the entries are there: whoever revokes from here on finds and removes them.
  const held = await checkStatuses(ports, lasting, users, refuseAt);
  await removeOthers(ports.registry, lasting, held, now);
  return { outcomes, raised };
}

/**
 * Registers one token, as a batch of one, and writes its audit row.
 *
 * @throws JwtctlError the reason why it was not registered; errors of the stores
 */
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
    const row = { actor: ports.actor, action: 'token.register', target, outcome: 'done', reason: null };
    await ports.database.transaction(({ auditLog }) => auditLog.append({ ...row, at: ports.clock.now() }));
  }
  return { registered, raised };
}

interface Candidate {
  place: number;
  key: SigningKey;
  claims: Claims;
}

type Refuse = (candidate: { place: number }, refusal: Refusal) => void;

/** The first two checks of a verification. */
async function checkTokens(
  { database }: RegisterPorts,
  policy: RegisterPolicy,
  now: number,
  tokens: readonly string[],
  refuseAt: Refuse,
): Promise<Candidate[]> {
  // Read anew for each batch: of a key that has stepped down since it has to be known until when it verifies.
  const { keys } = await database.keys.snapshot();
  const known = new Map(keys.map((key) => [key.kid, { ...toVerificationKey(key), row: key }]));
  const findKey = (kid: string) => known.get(kid) ?? null;
  const checked = tokens.map(async (token, place): Promise<Candidate[]> => {
    const jws = await checkJws(token, { findKey });
    const result = 'active' in jws ? jws : checkClaims(jws.payload, policy, now);
    if ('active' in jws || 'active' in result) {
      refuseAt({ place }, result as Refusal);
      return [];
    }
    return [{ place, key: jws.key.row, claims: result.claims }];
  });
  return (await Promise.all(checked)).flat();
}

/** The last two checks, as if the entry were there. */
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

/** Has the active keys know of lifetimes that are longer than any before. A key that signs no more comes back as it is now. */
async function noteLifetimes(
  { database }: RegisterPorts,
  candidates: readonly Candidate[],
  { now, dryRun }: { now: number; dryRun: boolean },
): Promise<{ candidates: Candidate[]; raised: RegisterReport['raised'] }> {
  const longest = new Map<string, number>();
  for (const { key, claims } of candidates) {
    if (key.state !== 'active' || !isPlausible(claims, now)) continue;
    longest.set(key.kid, Math.max(longest.get(key.kid) ?? key.maxTtlSeconds ?? 0, restOf(claims, now)));
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

/** Whether the key will verify for as long as the token lives. */
function checkLifetime({ key, claims }: Candidate, policy: RegisterPolicy, now: number): Refusal | null {
  const { kid, state, verifyUntil } = key;
  if (!isPlausible(claims, now)) {
    return refuse('ERR_CLAIM_INVALID', `The token's exp is more than 100 years ahead (exp ${claims.exp}).`);
  }
  switch (state) {
    case 'active':
      return null;
    case 'retiring': {
      const left = (verifyUntil ?? now) - policy.clockToleranceSeconds - now;
      const excess = restOf(claims, now) - left;
      if (excess <= 0) return null;
      return refuse(
        'ERR_KEY_NOT_TRUSTED',
        `Key ${kid} is retiring and verifies for another ${formatDuration(left)}; the token would outlive it by ${formatDuration(excess)}.`,
      );
    }
    case 'pending': {
      const longest = formatDuration(policy.maxTtlSeconds);
      if (restOf(claims, now) <= policy.maxTtlSeconds) return null;
      return refuse(
        'ERR_KEY_NOT_TRUSTED',
        `Key ${kid} is pending: a token that lives for longer than token.maxTtl (${longest}) cannot be registered before it is active.`,
      );
    }
    case 'retired':
    case 'compromised':
      return refuse('ERR_KEY_NOT_TRUSTED', `Key ${kid} is ${state}.`);
  }
}

function isPlausible(claims: Claims, now: number): boolean {
  return restOf(claims, now) <= LONGEST_LIFE_SECONDS;
}

/** What a token still has to live: whatever is done to its key or to its standing is done from now on. */
function restOf({ exp }: Claims, now: number): number {
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
    ...(user === undefined ? {} : { user: knownStatus(user, now, statusTtlSeconds) }),
    ...(maxPerSubject === undefined ? {} : { maxPerSubject }),
  };
}

async function removeOthers(
  registry: EntryStore & TokenStatusReader,
  registered: readonly Candidate[],
  held: readonly Candidate[],
  now: number,
): Promise<void> {
  const kept = new Set(held);
  const others = registered.filter((candidate) => !kept.has(candidate));
  if (others.length === 0) return;
  const named = others.map(({ key, claims: { sub, jti, iat } }) => ({
    sub,
    entry: { jti, keyId: key.id, iat },
  }));
  await removeEntriesInBatches(registry, entriesBySubject(named), now);
}

function subjectsOf(candidates: readonly Candidate[]): string[] {
  return [...new Set(candidates.map(({ claims }) => claims.sub))];
}

function toVerificationKey(key: SigningKey): VerificationKey {
  return { kid: key.kid, alg: key.alg, state: key.state, jwk: { ...publicJwk(key) } };
}
