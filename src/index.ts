/** What a program can import from `jwtctl`. The library starts here. */
export type { OpenOptions } from './app/open-options.js';
export type { SettingsInput } from './config/settings.js';
export type { PublicJwk } from './domain/jose/jwk-set.js';
export type { VerificationKey } from './domain/jose/verification-key.js';
export type { Refusal, RefusalCode, RefusalReason } from './domain/model/refusal-codes.js';
export type { KeyState, SigningAlgorithm } from './domain/model/signing-key.js';
export { type ErrorCode, type ErrorKind, JwtctlError } from './domain/shared/errors.js';
export type { IssuedToken } from './domain/tokens/issued-token.js';
export type { Claims, ClaimsPolicy } from './domain/verification/check-claims.js';
export type { TokenStatus } from './domain/verification/check-status.js';
export type { Acceptance, VerificationResult } from './domain/verification/verify.js';
export { type OpenIssuer, openIssuer } from './issuer/open-issuer.js';
export { createVerifier, type Verifier, type VerifierOptions } from './verifier/create-verifier.js';
export type { StoreHealth, VerifierHealth } from './verifier/health.js';
export { type OpenVerifier, openVerifier } from './verifier/open-verifier.js';
