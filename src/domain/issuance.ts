import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { type Claims, REGISTERED_CLAIMS } from './claims.js';
import { formatDuration } from './duration.js';
import { JwtctlError } from './errors.js';
import type { IssuedToken } from './issued-token.js';
import { encodeBase64url, MAX_TOKEN_CHARACTERS } from './jws.js';
import type { Clock, Database, Sealer, SecurityEvent, TokenRegistry, User, UserDirectory } from './ports.js';
import { ISSUER_KEY_HOLD_SECONDS } from './rotation.js';
import { createSignature } from './signature.js';
import type { SigningKey } from './signing-key.js';
import { covers, knownStatus } from './standing.js';
import { hasControlCharacter, parseSubject } from './subject.js';

// An event of the security log can lie ahead of this host's clock by as much as two clocks may differ, not more.
const LONGEST_WAIT_SECONDS = 10;
const MAX_LABEL_BYTES = 128;
const SIGNER_ATTEMPTS = 5;

export interface IssuerPorts {
  database: Pick<Database, 'keys' | 'securityLog' | 'transaction'>;
  registry: TokenRegistry;
  users: UserDirectory;
  sealer: Sealer;
  clock: Clock;
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

/** Signs and registers tokens, and holds the active key between two of them, {@link ISSUER_KEY_HOLD_SECONDS} at most. */
export class Issuer {
  readonly #ports: IssuerPorts;
  readonly #policy: IssuerPolicy;
  #held: { signer: Promise<Signer>; until: number } | undefined;

  constructor(ports: IssuerPorts, policy: IssuerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /** @throws JwtctlError (usage) for a request that can never be issued; asks no store */
  validate(request: TokenRequest): void {
    assertUsable(request, this.#policy);
  }

  /**
   * Signed, then registered, then returned: what is returned is registered.
   *
   * @throws JwtctlError `ERR_NO_ACTIVE_KEY`, `ERR_USER_DISABLED` (state), `ERR_USER_UNKNOWN` (not_found),
   * `ERR_TTL_TOO_LONG`, `ERR_CLAIM_REGISTERED` and their like (usage), and what the stores and the sealer throw
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
      if (!(await this.#isCompromised(sub, kid))) return { token, jti, kid, sub, aud, iat, exp };
      await this.#ports.registry.remove(sub, { jti, keyId }, now);
      if (attempt === SIGNER_ATTEMPTS) throw noActiveKey();
    }
  }

  /** What {@link issue} would sign. Nothing is signed, registered or opened. With `addsUser` there need not be a user yet. */
  async plan(request: TokenRequest, { addsUser = false } = {}): Promise<{ kid: string; payload: Claims }> {
    assertUsable(request, this.#policy);
    const key = await this.#activeKey();
    if (!addsUser) await this.#enabledUser(request.sub);
    return { kid: key.kid, payload: claimsSet(request, this.#policy, this.#ports.clock.now()) };
  }

  /** One unsealing for many tokens, and never a key that stepped down longer ago than `verifyUntil` allows for. */
  #signer(): Promise<Signer> {
    const now = this.#ports.clock.now();
    if (this.#held === undefined || now >= this.#held.until) {
      const signer = this.#openSigner();
      // Half of the hold: a token that meets a slow rotation, or a slow registry, stays within the whole of it.
      this.#held = { signer, until: now + ISSUER_KEY_HOLD_SECONDS / 2 };
      signer.catch(() => {
        this.#held = undefined;
      });
    }
    return this.#held.signer;
  }

  async #openSigner(): Promise<Signer> {
    const { keys, transaction } = this.#ports.database;
    const { maxTtlSeconds } = this.#policy;
    for (let attempt = 1; ; attempt++) {
      const key = await this.#activeKey();
      // `verifyUntil` is reckoned from the longest lifetime that any issuer gave under this key: it has to be known before the first such token.
      const isKnown = (key.maxTtlSeconds ?? 0) >= maxTtlSeconds;
      const isActive =
        isKnown || (await transaction((stores) => stores.keys.raiseMaxTtl(key.kid, maxTtlSeconds)));
      const sealed = isActive ? await keys.findSealed(key.kid) : null;
      if (sealed !== null)
        return { key, privateKey: privateHalf(key, await this.#ports.sealer.open(key.kid, sealed)) };
      // The key stepped down between two reads; but not again and again.
      if (attempt === SIGNER_ATTEMPTS) throw withoutPrivateHalf(key);
    }
  }

  async #activeKey(): Promise<SigningKey> {
    const { keys } = await this.#ports.database.keys.snapshot();
    const active = keys.find((key) => key.state === 'active');
    if (active === undefined) {
      throw noActiveKey(keys.length === 0 ? 'Run `jwtctl keys generate`.' : undefined);
    }
    return active;
  }

  async #enabledUser(sub: string): Promise<User> {
    const user = await this.#ports.users.find(sub);
    if (user === null) {
      throw new JwtctlError('not_found', 'ERR_USER_UNKNOWN', `There is no user ${JSON.stringify(sub)}.`, {
        hint: 'Run `jwtctl users add`, or issue with --create-user; with a table of your own, add the row there.',
      });
    }
    if (user.status === 'disabled') {
      throw new JwtctlError('state', 'ERR_USER_DISABLED', `The user ${JSON.stringify(sub)} is disabled.`, {
        hint: 'Run `jwtctl users enable`; with a table of your own, change the row there.',
      });
    }
    return user;
  }

  /** A key that is not compromised, and a moment that no revocation covers, by events that were read after every wait. */
  async #readyToSign(sub: string): Promise<{ signer: Signer; now: number }> {
    const { clock } = this.#ports;
    const begunAt = clock.now();
    for (let attempt = 1; ; attempt++) {
      const opening = this.#signer();
      const held = this.#held;
      const signer = await opening;
      const { kid } = signer.key;
      const events = await this.#eventsOf(sub, kid);
      if (events.some((event) => compromises(event, kid))) {
        // It was, since it was read: what it signs is refused everywhere from that moment.
        if (this.#held === held) this.#held = undefined;
        if (attempt >= SIGNER_ATTEMPTS) throw noActiveKey();
        continue;
      }
      const now = clock.now();
      const free = firstUncovered(events, { sub, kid }, now);
      if (free <= now) return { signer, now };
      // A token of the same second as a revocation would be covered by it: the next second is the first that is not.
      if (free - begunAt > LONGEST_WAIT_SECONDS + 1) throw revokedAhead(sub, free - 1 - now);
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

interface Signer {
  key: SigningKey;
  privateKey: KeyObject;
}

function compromises(event: SecurityEvent, kid: string): boolean {
  return event.type === 'key_compromised' && event.kid === kid;
}

/** The first second from `now` on whose tokens no revocation covers. */
function firstUncovered(
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

function claimsSet(request: TokenRequest, policy: IssuerPolicy, now: number): Claims {
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
function assertUsable(request: TokenRequest, policy: IssuerPolicy): void {
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
      'ERR_CLAIM_REGISTERED',
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

function unusable(code: string, message: string, hint?: string): JwtctlError {
  return new JwtctlError('usage', code, message, hint === undefined ? {} : { hint });
}

/** 128 random bits. One that begins with - would read as a flag on a command line. */
function newJti(): string {
  for (;;) {
    const jti = randomBytes(16).toString('base64url');
    if (!/^[-_]/.test(jti)) return jti;
  }
}

async function sign({ key, privateKey }: Signer, claims: Claims): Promise<string> {
  const header = { alg: key.alg, typ: 'JWT', kid: key.kid };
  const signingInput = `${encodeBase64url(JSON.stringify(header))}.${encodeBase64url(JSON.stringify(claims))}`;
  return `${signingInput}.${encodeBase64url(await createSignature(key.alg, privateKey, signingInput))}`;
}

function tooLong(length: number): JwtctlError {
  return unusable(
    'ERR_TOKEN_TOO_LONG',
    `The token would be ${length} characters long; a verifier reads at most ${MAX_TOKEN_CHARACTERS}.`,
    'Put less into its claims.',
  );
}

function revokedAhead(sub: string, seconds: number): JwtctlError {
  return new JwtctlError(
    'state',
    'ERR_REVOKED_AHEAD',
    `A revocation covers what is issued for ${JSON.stringify(sub)} until ${seconds} s from now.`,
    { hint: 'The clock of this host, or of the one that revoked, is wrong.' },
  );
}

function noActiveKey(hint = 'Run `jwtctl keys rotate`.'): JwtctlError {
  return new JwtctlError('state', 'ERR_NO_ACTIVE_KEY', 'There is no active key to sign with.', { hint });
}

function withoutPrivateHalf(key: SigningKey): JwtctlError {
  return new JwtctlError(
    'state',
    'ERR_PRIVATE_KEY_MISSING',
    `The active key ${key.kid} has no private half.`,
    {
      hint: 'Restore its row from a backup, or run `jwtctl keys rotate --now`.',
    },
  );
}

/** A row whose public half was exchanged would have verifiers trust another key than the one that signs. */
export function privateHalf(key: SigningKey, pkcs8: Uint8Array): KeyObject {
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  if (!createPublicKey(privateKey).equals(createPublicKey(key.publicKey))) {
    throw new JwtctlError(
      'state',
      'ERR_KEY_HALVES_MISMATCH',
      `The halves of key ${key.kid} do not belong together.`,
      {
        hint: 'The row was changed by other means than jwtctl. Rotate to a new key, and look into the audit log.',
      },
    );
  }
  return privateKey;
}
