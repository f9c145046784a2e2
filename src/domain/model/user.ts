export type UserStatus = 'enabled' | 'disabled';

/** Converts a stored status. Any value that is not exactly `enabled` means `disabled`. */
export function toUserStatus(stored: unknown): UserStatus {
  return stored === 'enabled' ? 'enabled' : 'disabled';
}

export interface User {
  sub: string;
  name: string | null;
  status: UserStatus;
  /** Grows with every change of the status, across a removal too; 0 where the source keeps none. */
  version: number;
  createdAt: number | null;
  updatedAt: number | null;
}
