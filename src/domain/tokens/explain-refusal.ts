import { decodeToken } from '../jose/jws.js';
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
    case 'ERR_CLAIM_INVALID':
      if (error.message.startsWith("The token's exp is missing"))
        return 'A token without an exp never expires, so it cannot be registered. Issue a new one with `jwtctl token issue`.';
      return claimOf(error) === undefined
        ? undefined
        : 'Many programs round numbers beyond 2^53. Issue new tokens with `jwtctl token issue`, which writes the sub as text.';
    default:
      return undefined;
  }
}

/** Shows what a verifier, whose refusals go to logs, does not show, and the digits that parsing changes. */
function foundClaim(token: string, error: Refusal['error']): string {
  const claim = claimOf(error);
  const decoded = claim === undefined ? '' : decodeToken(token);
  if (claim === undefined || typeof decoded === 'string') return '';
  return ` It is ${excerpt(stringifySpelled(decoded.payload[claim]))}.`;
}

function claimOf({ code, message }: Refusal['error']): string | undefined {
  if (code === 'ERR_ISSUER_MISMATCH') return 'iss';
  if (code === 'ERR_AUDIENCE_MISMATCH') return 'aud';
  return REGISTERED_CLAIMS.find((name) => message.startsWith(`The token's ${name} is a number beyond`));
}
