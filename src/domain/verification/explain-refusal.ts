import { decodeToken, parseJsonObject } from '../jose/jws.js';
import type { Refusal } from '../model/refusal-codes.js';
import { JwtctlError } from '../shared/errors.js';
import { stringifySpelled } from '../shared/json-numbers.js';
import { excerpt } from '../shared/text.js';
import { REGISTERED_CLAIMS } from './check-claims.js';
import { parseJws } from './check-jws.js';

const LEGACY_HINT =
  'To register tokens that lack kid, jti, iat, iss, or aud, have a kid that no key has, or have an integer sub, use `jwtctl token register --legacy`.';

/** Adds to a refusal what only the person who registers the token may see, and what to do. */
export function explainRefusal(
  token: string,
  error: Refusal['error'],
  { isLegacy }: { isLegacy: boolean },
): JwtctlError {
  const hint = isLegacy ? LEGACY_HINT : hintFor(token, error);
  const message = `${error.message}${foundClaim(token, error)}`;
  return new JwtctlError(error.code, message, { kind: 'refused', hint });
}

/** Returns what to do; undefined if the code says it. */
function hintFor(token: string, error: Refusal['error']): string | undefined {
  switch (error.code) {
    case 'ERR_SIGNATURE_INVALID':
      return 'Check that the whole token was copied. If another program signed it, import its public key: `jwtctl keys import --verify-only`.';
    case 'ERR_ALG_NOT_ALLOWED':
    case 'ERR_KEY_UNKNOWN': {
      const jws = parseJws(token);
      if (!('active' in jws))
        return `If one of your keys signs with ${jws.alg}, import it: \`jwtctl keys import --alg ${jws.alg}\`.`;
      return error.code === 'ERR_KEY_UNKNOWN'
        ? undefined
        : 'Tokens signed with HMAC or ECDSA cannot be registered: let them expire.';
    }
    case 'ERR_CLAIM_INVALID': {
      const payload = payloadOf(token);
      // The exp is checked first.
      if (payload.exp === undefined)
        return 'A token without an exp never expires, so it cannot be registered. Issue a new one with `jwtctl token issue`.';
      const claim = hugeClaim(payload);
      if (claim === undefined) return undefined;
      return TIMES.has(claim)
        ? 'Times in a token are seconds since 1970 (NumericDate). Issue new tokens with `jwtctl token issue`.'
        : 'Many programs round numbers beyond 2^53. Issue new tokens with `jwtctl token issue`, which writes the sub as text.';
    }
    default:
      return undefined;
  }
}

const TIMES: ReadonlySet<string> = new Set(['exp', 'nbf', 'iat']);

/** Shows what a verifier, whose refusals go to logs, does not show, and the digits that parsing changes. */
function foundClaim(token: string, { code }: Refusal['error']): string {
  switch (code) {
    case 'ERR_ISSUER_MISMATCH':
      return ` It is ${digitsOf(token, 'iss')}.`;
    case 'ERR_AUDIENCE_MISMATCH':
      return ` It is ${digitsOf(token, 'aud')}.`;
    case 'ERR_CLAIM_INVALID': {
      const claim = hugeClaim(payloadOf(token));
      return claim === undefined ? '' : ` The ${claim} is ${digitsOf(token, claim)}.`;
    }
    default:
      return '';
  }
}

function digitsOf(token: string, claim: string): string {
  const decoded = decodeToken(token);
  return typeof decoded === 'string' ? 'unreadable' : excerpt(stringifySpelled(decoded.payload[claim]));
}

/** Returns a registered claim that is a number beyond 2^53, which none may be. */
function hugeClaim(payload: Record<string, unknown>): string | undefined {
  return REGISTERED_CLAIMS.find((name) => {
    const value = payload[name];
    return typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER;
  });
}

function payloadOf(token: string): Record<string, unknown> {
  const jws = parseJws(token);
  return ('active' in jws ? null : parseJsonObject(jws.payload)) ?? {};
}
