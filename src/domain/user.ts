export type UserStatus = 'enabled' | 'disabled';

export interface User {
  sub: string;
  name: string | null;
  status: UserStatus;
  /** Grows with every change of the status, across a removal too; 0 where the source keeps none. */
  version: number;
  createdAt: number | null;
  updatedAt: number | null;
}
