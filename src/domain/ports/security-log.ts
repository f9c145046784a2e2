/**
 * What was revoked. An event is written before the registry is touched and kept until the last token that it
 * covers has expired, so a registry that loses data cannot bring a token back.
 */
export interface SecurityLog {
  /** Appends an event and returns its id. Keeps it for at least `expiresAt - at` by the database's clock. */
  append(event: NewSecurityEvent): Promise<number>;
  /** Removes up to `limit` events that expired a week ago by the database's clock; returns how many. */
  clearExpired(limit: number): Promise<number>;
  /** Returns the events for a token, oldest first. A null `jti` is for a token that is not issued yet. */
  findConcerning(token: { sub: string; kid: string; jti: string | null }): Promise<SecurityEvent[]>;
  /** Returns the events of these subjects, oldest first, but those with a jti only for these tokens and their families. */
  findNaming(tokens: ReadonlyArray<{ sub: string; jti: string | null }>): Promise<SecurityEvent[]>;
  /** Returns the events without a subject, and those with a kid, oldest first. */
  findGlobal(): Promise<SecurityEvent[]>;
  /** Returns up to `limit` events above `afterId`, by id. A slow transaction may add a lower id later. */
  listAfter(afterId: number, limit: number): Promise<SecurityEvent[]>;
  /** Returns the highest `userVersion` in the events of each subject. The map omits subjects without one. */
  highestUserVersions(subs: readonly string[]): Promise<Map<string, number>>;
}

export type SecurityEventType =
  /** One token: `sub` and `jti`. */
  | 'token_revoked'
  /** All tokens of one session: `sub`, and its family as `jti`. */
  | 'family_revoked'
  /** All tokens of `sub` with `iat <= issuedBefore`, but the token or family `except`. */
  | 'subject_revoked'
  /** All tokens under `kid` with `iat <= issuedBefore`. */
  | 'kid_revoked'
  /** Every token with `iat <= issuedBefore`. */
  | 'all_revoked'
  /** Every token under `kid`, whatever its `iat`: a thief of the private key can choose the `iat`. */
  | 'key_compromised'
  /** `sub` changed to this status with `userVersion`. */
  | 'user_disabled'
  | 'user_enabled'
  /** `sub` was removed with `userVersion`. A `subject_revoked` is recorded with it. */
  | 'user_removed'
  /** Verifiers must read `sub` again from the table of another program. */
  | 'user_refreshed';

export interface NewSecurityEvent {
  type: SecurityEventType;
  sub?: string;
  jti?: string;
  kid?: string;
  /** Inclusive. */
  issuedBefore?: number;
  except?: string;
  userVersion?: number;
  /** When a disabled user is enabled again by itself. Only for `db recover`: the user's row has it too. */
  disabledUntil?: number | undefined;
  reason: string | null;
  at: number;
  /** When the last token that this event covers has expired, refresh tokens included. */
  expiresAt: number;
  /** When the last access token that it covers has expired. Verifiers forget it then. Default: `expiresAt` */
  verifiersUntil?: number;
}

export interface SecurityEvent {
  id: number;
  type: SecurityEventType;
  sub: string | null;
  jti: string | null;
  kid: string | null;
  issuedBefore: number | null;
  /** Default: null */
  except?: string | null;
  userVersion: number | null;
  reason: string | null;
  at: number;
  expiresAt: number;
  /** Default: `expiresAt` */
  verifiersUntil?: number;
}
