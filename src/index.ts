export type { SettingsInput } from './config/settings.js';
export type { Claims, ClaimsPolicy } from './domain/claims.js';
export { type ErrorKind, JwtctlError } from './domain/errors.js';
export type { IssuedToken } from './domain/issued-token.js';
export type { Refusal, RefusalCode, RefusalReason } from './domain/refusal.js';
export type { KeyState, SigningAlgorithm } from './domain/signing-key.js';
export type { Acceptance, Standing, VerificationKey, VerificationResult } from './domain/verification.js';
export { type OpenIssuer, type OpenVerifier, openIssuer, openVerifier } from './library.js';
export { createVerifier, type Verifier } from './verify/verifier.js';
