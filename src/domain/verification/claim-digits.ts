import { type AcceptedClaims, REGISTERED_CLAIMS } from './check-claims.js';

/**
 * Restores the digits of a token's numbers. The registered claims stay as the verifier reads them.
 * @param spelled the payload as `decodeToken` returns it
 */
export function withDigits(payload: AcceptedClaims, spelled: Record<string, unknown>): AcceptedClaims {
  const claims = Object.entries(payload).map(([name, value]) => [
    name,
    REGISTERED.has(name) || !Object.hasOwn(spelled, name) ? value : spelled[name],
  ]);
  return Object.fromEntries(claims);
}

const REGISTERED = new Set<string>(REGISTERED_CLAIMS);
