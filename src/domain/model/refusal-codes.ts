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

/** The message contains only names that are safe to print. */
export interface Refusal {
  active: false;
  error: { code: RefusalCode; message: string };
  reason: RefusalReason;
}

export function refuse(code: RefusalCode, message: string): Refusal {
  return { active: false, error: { code, message }, reason: REASONS[code] };
}
