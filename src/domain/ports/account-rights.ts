/** What an account of a store can do, compared with what jwtctl needs. */
export interface AccountRights {
  /** For people: `The MySQL account 'jwtctl'`. */
  account: string;
  /** The rights that jwtctl lacks. */
  missing: readonly AccountRight[];
  /** The rights that jwtctl does not need. */
  excess: readonly AccountRight[];
}

export interface AccountRight {
  /** Such as `INSERT on users`. */
  right: string;
  /** The statement that grants a missing right, or revokes another one. */
  statement: string;
}
