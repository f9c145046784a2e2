import { randomBytes } from 'node:crypto';
import { MAX_TOKEN_CHARACTERS } from '../jose/jws.js';
import { parseSubject } from '../model/subject.js';
import { describeValue } from '../shared/describe-value.js';
import { formatDuration } from '../shared/duration.js';
import { type ErrorCode, JwtctlError } from '../shared/errors.js';
import { hasControlCharacter } from '../shared/text.js';
import { type Claims, REGISTERED_CLAIMS } from './claims.js';

const MAX_LABEL_BYTES = 128;

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

/** Throws a JwtctlError (usage) for a request that can never be issued. */
export function assertUsable(request: TokenRequest, policy: IssuerPolicy): void {
  const { sub, aud, ttlSeconds = policy.ttlSeconds, notBeforeSeconds = 0, claims = {}, label = '' } = request;
  parseSubject(sub);
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1) {
    throw unusable(
      'ERR_TTL_INVALID',
      `The lifetime is ${describeValue(ttlSeconds)}; expected a whole number of seconds above zero.`,
    );
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
  if (aud?.length === 0)
    throw unusable('ERR_AUDIENCE_INVALID', 'The aud is an empty array; expected a string in it.');
  for (const audience of aud ?? []) {
    if (typeof audience === 'string' && audience !== '') continue;
    const what = describeValue(audience);
    throw unusable('ERR_AUDIENCE_INVALID', `The aud is ${what}; expected a string that is not empty.`);
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
      `The label is ${describeValue(label)}; expected at most ${MAX_LABEL_BYTES} bytes without control characters.`,
    );
  }
}

/** Returns the Claims Set of a token that is issued at `now`, with a new jti. */
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

/** Throws `ERR_TOKEN_TOO_LONG` (usage) for a token that no verifier would read. */
export function assertReadable({ length }: string): void {
  if (length <= MAX_TOKEN_CHARACTERS) return;
  throw unusable(
    'ERR_TOKEN_TOO_LONG',
    `The token would be ${length} characters long; a verifier reads at most ${MAX_TOKEN_CHARACTERS}.`,
    'Put less into its claims.',
  );
}

/** Returns 128 random bits. A jti that begins with - would read as a flag on a command line. */
function newJti(): string {
  for (;;) {
    const jti = nextRandomBytes(16).toString('base64url');
    if (!/^[-_]/.test(jti)) return jti;
  }
}

let random = Buffer.alloc(0);

/** Draws bytes for many calls at once, because each call to `randomBytes` is slow. No byte is returned twice. */
function nextRandomBytes(size: number): Buffer {
  if (random.length < size) random = randomBytes(4096);
  const bytes = random.subarray(0, size);
  random = random.subarray(size);
  return bytes;
}

function unusable(code: ErrorCode, message: string, hint?: string): JwtctlError {
  return new JwtctlError(code, message, { hint });
}
