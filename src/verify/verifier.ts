import { type VerificationPorts, type VerificationResult, verifyToken } from '../domain/verification.js';

export interface Verifier {
  /**
   * Makes the four checks: the JWS, the Claims Set, the registry, the user.
   *
   * @param token a JWS in Compact Serialization
   * @returns the token's header and Claims Set, or why it is refused. A refusal is a result, not an error.
   * @throws JwtctlError of kind `unavailable` where a store cannot answer: never an acceptance
   */
  verify(token: string): Promise<VerificationResult>;
}

/**
 * A verifier over stores of your own.
 *
 * @param options.findKey the key with this `kid`, or null. Returning the same object for the same key spares parsing it
 * again. A key is accepted in the states `pending`, `active` and `retiring`.
 * @param options.findStanding what your registry and your users say of a token whose signature and claims hold
 * @param options.policy the `iss` and `aud` to accept, and the clock tolerance in seconds
 * @param options.now NumericDate seconds; default: the host's clock
 */
export function createVerifier(
  options: Omit<VerificationPorts, 'now'> & Partial<Pick<VerificationPorts, 'now'>>,
): Verifier {
  const ports: VerificationPorts = { now: () => Math.floor(Date.now() / 1000), ...options };
  return { verify: (token) => verifyToken(token, ports) };
}
