import { createHash } from 'node:crypto';

/** Tokens that lack `kid`, `jti`, `iat`, `iss`, or `aud` are registered under this id instead of their `jti`. */
export function legacyId(signingInput: string): string {
  return PREFIX + createHash('sha256').update(signingInput).digest('base64url');
}

/** No token with a `jti` of this form is accepted, so it always names a legacy token. */
export function isLegacyId(jti: string): boolean {
  return jti.length === LENGTH && FORM.test(jti);
}

const PREFIX = 'legacy.';
const LENGTH = 50;
const FORM = /^legacy\.[A-Za-z0-9_-]{43}$/;
