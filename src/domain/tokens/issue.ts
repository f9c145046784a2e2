import { randomBytes } from 'node:crypto';
import { encodeBase64url, MAX_TOKEN_CHARACTERS } from '../jose/jws.js';
import { createSignature } from '../jose/signature.js';
import { findActiveKey, noActiveKey } from '../keys/find-key.js';
import type { SigningKey } from '../model/signing-key.js';
import { parseSubject } from '../model/subject.js';
import type { Database, SecurityEvent, TokenRegistry, User, UserDirectory } from '../ports/index.js';
import type { DatabaseGuard } from '../recovery/database-guard.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { covers } from '../security-log/revocation-index.js';
import { formatDuration } from '../shared/duration.js';
import { type ErrorCode, JwtctlError } from '../shared/errors.js';
import { hasControlCharacter } from '../shared/text.js';
import { HeldSigner, type Signer, type SignerPorts } from './active-signer.js';
import { type Claims, REGISTERED_CLAIMS } from './claims.js';
import type { IssuedToken } from './issued-token.js';

// An event of the security log can lie ahead of this host's clock by as much as two clocks may differ, not more.
export const LONGEST_WAIT_SECONDS = 10;
const MAX_LABEL_BYTES = 128;
export const SIGNER_ATTEMPTS = 5;

export interface IssuerPorts extends SignerPorts {
  database: Pick<Database, 'keys' | 'securityLog' | 'transaction'>;
  registry: TokenRegistry;
  users: UserDirectory;
  guard: Pick<DatabaseGuard, 'assertCurrent'>;
}

export interface IssuerPolicy {
  issuer: string;
  /** The `aud` of a token that asks for none. */
  audience: string;
  ttlSeconds: number;
  maxTtlSeconds: number;
  statusTtlSeconds: number;
  /** How many live tokens a subject may have; the oldest makes room. */
  maxPerSubject?: number;
}

export interface TokenRequest {
  sub: string;
  /** Default: the policy's audience. */
  aud?: string[];
  /** Default: the policy's; at most its `maxTtlSeconds`. */
  ttlSeconds?: number;
  /** How long after now the token begins to be valid. */
  notBeforeSeconds?: number;
  /** Claims beside the registered ones. */
  claims?: Record<string, unknown>;
  /** Shown by `token list`; at most 128 bytes. */
  label?: string;
}

/** Signs and registers tokens. */
export class Issuer {
  readonly #ports: IssuerPorts;
  readonly #policy: IssuerPolicy;
  readonly #signer: HeldSigner;

  constructor(ports: IssuerPorts, policy: IssuerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#signer = new HeldSigner(ports, policy.maxTtlSeconds);
  }

  /** @throws JwtctlError (usage) for a request that can never be issued; asks no store */
  validate(request: TokenRequest): void {
    assertUsable(request, this.#policy);
  }

  /**
   * Signed, then registered, then returned: what is returned is registered.
   *
   * @throws JwtctlError `ERR_NO_ACTIVE_KEY`, `ERR_USER_DISABLED` (state), `ERR_USER_UNKNOWN` (not_found),
   * `ERR_TTL_TOO_LONG`, `ERR_CLAIM_RESERVED` and their like (usage), and what the stores and the sealer throw
   */
  async issue(request: TokenRequest): Promise<IssuedToken> {
    assertUsable(request, this.#policy);
    for (let attempt = 1; ; attempt++) {
      const { signer, now } = await this.#readyToSign(request.sub);
      // The user comes last: of one who was removed meanwhile the wait would otherwise make a token that a later user of the name inherits.
      const user = await this.#enabledUser(request.sub);
      const claims = claimsSet(request, this.#policy, now);
      const token = await sign(signer, claims);
      if (token.length > MAX_TOKEN_CHARACTERS) throw tooLong(token.length);

      const { jti, iat, exp, sub, aud } = claims;
      const { kid, id: keyId } = signer.key;
      await this.#ports.registry.register(
        sub,
        { jti, keyId, iat, exp },
        {
          now,
          user: knownStatus(user, now, this.#policy.statusTtlSeconds),
          ...(request.label === undefined ? {} : { label: request.label }),
          ...(this.#policy.maxPerSubject === undefined ? {} : { maxPerSubject: this.#policy.maxPerSubject }),
        },
      );
      // Asked again now that the entry is there: whoever compromises the key from here on finds and removes it.
      const isCompromised = await this.#isCompromised(sub, kid).catch(async (error) => {
        // This token is not handed out. If its entry cannot be removed now, it will expire.
        await this.#ports.registry.remove(sub, { jti, keyId }, now).catch(() => {});
        throw error;
      });
      if (!isCompromised) return { token, jti, kid, sub, aud, iat, exp };
      await this.#ports.registry.remove(sub, { jti, keyId }, now);
      if (attempt === SIGNER_ATTEMPTS) throw noActiveKey();
    }
  }

  /** What {@link issue} would sign. Nothing is signed, registered or opened. With `addsUser` there need not be a user yet. */
  async plan(request: TokenRequest, { addsUser = false } = {}): Promise<{ kid: string; payload: Claims }> {
    assertUsable(request, this.#policy);
    const key = await findActiveKey(this.#ports.database);
    if (!addsUser) await this.#enabledUser(request.sub);
    return { kid: key.kid, payload: claimsSet(request, this.#policy, this.#ports.clock.now()) };
  }

  async #enabledUser(sub: string): Promise<User> {
    return enabledUser(await this.#ports.users.find(sub), sub);
  }

  /** A key that is not compromised, and a moment that no revocation covers, by events that were read after every wait. */
  async #readyToSign(sub: string): Promise<{ signer: Signer; now: number }> {
    const { clock, guard } = this.#ports;
    let waitedSeconds = 0;
    for (let attempt = 1; ; attempt++) {
      const signer = await this.#signer.current();
      const { kid } = signer.key;
      const [revision, events] = await Promise.all([guard.assertCurrent(), this.#eventsOf(sub, kid)]);
      const now = clock.now();
      // What a compromised key signs is refused everywhere from that moment; and one that was read long ago may have stepped down.
      const isCompromised = signer.revision < revision || events.some((event) => compromises(event, kid));
      if (isCompromised || !HeldSigner.maySign(signer, now)) {
        this.#signer.letGo(signer);
        if (attempt >= SIGNER_ATTEMPTS) throw noActiveKey();
        continue;
      }
      const free = firstUncovered(events, { sub, kid }, now);
      if (free <= now) return { signer, now };
      // A token of the same second as a revocation would be covered by it: the next second is the first that is not.
      waitedSeconds += free - now;
      if (waitedSeconds > LONGEST_WAIT_SECONDS + 1) throw revokedAhead(sub, free - 1 - now);
      await clock.until(free);
      if (clock.now() < free) throw revokedAhead(sub, free - 1 - clock.now());
    }
  }

  async #isCompromised(sub: string, kid: string): Promise<boolean> {
    return (await this.#eventsOf(sub, kid)).some((event) => compromises(event, kid));
  }

  #eventsOf(sub: string, kid: string): Promise<SecurityEvent[]> {
    return this.#ports.database.securityLog.findConcerning({ sub, kid, jti: null });
  }
}

export function compromises(event: SecurityEvent, kid: string): boolean {
  return event.type === 'key_compromised' && event.kid === kid;
}

/** @throws JwtctlError `ERR_USER_UNKNOWN` (not_found), `ERR_USER_DISABLED` (state) */
export function enabledUser(user: User | null, sub: string): User {
  if (user === null) {
    throw new JwtctlError('ERR_USER_UNKNOWN', `There is no user ${JSON.stringify(sub)}.`, {
      hint: 'Run `jwtctl users add`, or issue with --create-user; with a table of your own, add the row there.',
    });
  }
  if (user.status === 'enabled') return user;
  throw new JwtctlError('ERR_USER_DISABLED', `The user ${JSON.stringify(sub)} is disabled.`, {
    hint: 'Run `jwtctl users enable`. If your own table holds the users, change the row there.',
  });
}

/** The first second from `now` on whose tokens no revocation covers. */
export function firstUncovered(
  events: readonly SecurityEvent[],
  { sub, kid }: { sub: string; kid: string },
  now: number,
): number {
  return events.reduce(
    (free, event) =>
      event.issuedBefore !== null && covers(event, { sub, kid, iat: free, jti: '' })
        ? event.issuedBefore + 1
        : free,
    now,
  );
}

export function claimsSet(request: TokenRequest, policy: IssuerPolicy, now: number): Claims {
  const { ttlSeconds = policy.ttlSeconds, aud = [policy.audience], claims = {} } = request;
  return {
    ...claims,
    iss: policy.issuer,
    sub: request.sub,
    aud: aud.length === 1 ? (aud[0] as string) : aud,
    iat: now,
    ...(request.notBeforeSeconds === undefined ? {} : { nbf: now + request.notBeforeSeconds }),
    exp: now + ttlSeconds,
    jti: newJti(),
  };
}

/** Refuses what cannot be signed, before anything is asked of a store. */
export function assertUsable(request: TokenRequest, policy: IssuerPolicy): void {
  const { sub, aud, ttlSeconds = policy.ttlSeconds, notBeforeSeconds = 0, claims = {}, label = '' } = request;
  parseSubject(sub);
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1) {
    throw unusable('ERR_TTL_INVALID', `A lifetime is a whole number of seconds above zero.`);
  }
  if (ttlSeconds > policy.maxTtlSeconds) {
    const longest = formatDuration(policy.maxTtlSeconds);
    throw unusable(
      'ERR_TTL_TOO_LONG',
      `A lifetime of ${formatDuration(ttlSeconds)} is above \`token.maxTtl\`, which is ${longest}.`,
      'Ask for less, or raise `token.maxTtl`.',
    );
  }
  if (notBeforeSeconds >= ttlSeconds) {
    throw unusable('ERR_NOT_BEFORE_INVALID', 'The token would expire before it begins to be valid.');
  }
  if (
    aud !== undefined &&
    (aud.length === 0 || aud.some((audience) => typeof audience !== 'string' || audience === ''))
  ) {
    throw unusable('ERR_AUDIENCE_INVALID', 'An aud is a string that is not empty.');
  }
  const registered = REGISTERED_CLAIMS.find((claim) => Object.hasOwn(claims, claim));
  if (registered !== undefined) {
    throw unusable(
      'ERR_CLAIM_RESERVED',
      `The registered claim ${registered} cannot be set like other claims.`,
      'There are flags for sub, aud, the lifetime and not-before; iss is `token.issuer`; iat and jti are made.',
    );
  }
  if (Buffer.byteLength(label) > MAX_LABEL_BYTES || hasControlCharacter(label)) {
    throw unusable(
      'ERR_LABEL_INVALID',
      `A label is at most ${MAX_LABEL_BYTES} bytes without control characters.`,
    );
  }
}

function unusable(code: ErrorCode, message: string, hint?: string): JwtctlError {
  return new JwtctlError(code, message, { hint });
}

/** 128 random bits. One that begins with - would read as a flag on a command line. */
function newJti(): string {
  for (;;) {
    const jti = nextRandomBytes(16).toString('base64url');
    if (!/^[-_]/.test(jti)) return jti;
  }
}

let random = Buffer.alloc(0);

/** Drawn in advance for many: to ask for them costs more than the bytes. None is used twice. */
function nextRandomBytes(size: number): Buffer {
  if (random.length < size) random = randomBytes(4096);
  const bytes = random.subarray(0, size);
  random = random.subarray(size);
  return bytes;
}

async function sign({ key, privateKey }: Signer, claims: Claims): Promise<string> {
  const signingInput = `${encodedHeader(key)}.${encodedClaims(claims)}`;
  return `${signingInput}.${encodeBase64url(await createSignature(key.alg, privateKey, signingInput))}`;
}

/** The first part of what a signature covers (RFC 7515 §5.1): the same for every token under a key. */
export function encodedHeader({ alg, kid }: Pick<SigningKey, 'alg' | 'kid'>): string {
  return encodeBase64url(JSON.stringify({ alg, typ: 'JWT', kid }));
}

/** The second part. */
export function encodedClaims(claims: Claims): string {
  return encodeBase64url(JSON.stringify(claims));
}

export function tooLong(length: number): JwtctlError {
  return unusable(
    'ERR_TOKEN_TOO_LONG',
    `The token would be ${length} characters long; a verifier reads at most ${MAX_TOKEN_CHARACTERS}.`,
    'Put less into its claims.',
  );
}

export function revokedAhead(sub: string, seconds: number): JwtctlError {
  return new JwtctlError(
    'ERR_REVOCATION_IN_FUTURE',
    `A revocation covers what is issued for ${JSON.stringify(sub)} until ${seconds} s from now.`,
    { hint: 'The clock of this host, or of the one that revoked, is wrong.' },
  );
}
