/** The phrase in HTTP responses. Only logs and the CLI show the code. */
export type RefusalReason = 'Token Expired' | 'Invalid Token' | 'Authorization Failure';

const REASONS = {
  ERR_TOKEN_MALFORMED: 'Invalid Token',
  ERR_ALG_NOT_ALLOWED: 'Invalid Token',
  ERR_KEY_UNKNOWN: 'Invalid Token',
  ERR_KEY_NOT_TRUSTED: 'Invalid Token',
  ERR_SIGNATURE_INVALID: 'Invalid Token',
  ERR_TOKEN_EXPIRED: 'Token Expired',
  ERR_TOKEN_IDLE: 'Token Expired',
  ERR_TOKEN_NOT_YET_VALID: 'Invalid Token',
  ERR_ISSUER_MISMATCH: 'Invalid Token',
  ERR_AUDIENCE_MISMATCH: 'Invalid Token',
  ERR_CLAIM_INVALID: 'Invalid Token',
  ERR_TOKEN_TYPE_REFUSED: 'Invalid Token',
  ERR_TOKEN_NOT_REGISTERED: 'Authorization Failure',
  ERR_REGISTRATION_MISMATCH: 'Authorization Failure',
  ERR_TOKEN_REVOKED: 'Authorization Failure',
  ERR_USER_UNKNOWN: 'Authorization Failure',
  ERR_USER_DISABLED: 'Authorization Failure',
} as const satisfies Record<string, RefusalReason>;

export type RefusalCode = keyof typeof REASONS;

/** The four checks, in their order. */
export const CHECKS = ['signature', 'claims', 'registry', 'user'] as const;
export type CheckName = (typeof CHECKS)[number];

const CHECK_OF = {
  ERR_TOKEN_MALFORMED: 'signature',
  ERR_ALG_NOT_ALLOWED: 'signature',
  ERR_KEY_UNKNOWN: 'signature',
  ERR_KEY_NOT_TRUSTED: 'signature',
  ERR_SIGNATURE_INVALID: 'signature',
  ERR_TOKEN_EXPIRED: 'claims',
  ERR_TOKEN_NOT_YET_VALID: 'claims',
  ERR_ISSUER_MISMATCH: 'claims',
  ERR_AUDIENCE_MISMATCH: 'claims',
  ERR_CLAIM_INVALID: 'claims',
  ERR_TOKEN_TYPE_REFUSED: 'claims',
  ERR_TOKEN_NOT_REGISTERED: 'registry',
  ERR_REGISTRATION_MISMATCH: 'registry',
  ERR_TOKEN_REVOKED: 'registry',
  ERR_TOKEN_IDLE: 'registry',
  ERR_USER_UNKNOWN: 'user',
  ERR_USER_DISABLED: 'user',
} as const satisfies Record<RefusalCode, CheckName>;

/** Returns the check that refuses a token with this code. */
export function checkOf(code: RefusalCode): CheckName {
  return CHECK_OF[code];
}

/** The message contains only names that are safe to print. */
export interface Refusal {
  active: false;
  error: { code: RefusalCode; message: string };
  reason: RefusalReason;
}

export function refuse(code: RefusalCode, message: string): Refusal {
  return { active: false, error: { code, message }, reason: REASONS[code] };
}
