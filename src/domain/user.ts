export type UserStatus = 'enabled' | 'disabled';

/** What a store says of a user: whatever is not `enabled` to the byte is `disabled`. */
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
