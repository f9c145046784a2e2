import type { JwtctlError } from '../shared/errors.js';

export type UserStatus = 'enabled' | 'disabled';

/** Every value other than `enabled` means `disabled`. */
export function toUserStatus(stored: unknown): UserStatus {
  return stored === 'enabled' ? 'enabled' : 'disabled';
}

export interface User {
  sub: string;
  name: string | null;
  status: UserStatus;
  /** When a disabled user becomes enabled again automatically. Without it, the user stays disabled. */
  disabledUntil?: number | undefined;
  /** Grows with every status change, even across a removal; 0 if the source has no versions. */
  version: number;
  createdAt: number | null;
  updatedAt: number | null;
  /** From the columns of `users.claims`, or why they cannot be used: one user must not fail the others of a batch. */
  claims?: Readonly<Record<string, unknown>> | JwtctlError | undefined;
}
