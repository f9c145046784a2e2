/** A live token as the registry knows it. */
export interface RegistryEntry {
  jti: string;
  /** {@link SigningKey.id} of the key that signed it. */
  keyId: number;
  iat: number;
  exp: number;
}

/** What tells an entry from all others of its subject. */
export type EntryName = Pick<RegistryEntry, 'jti' | 'keyId' | 'iat'>;

/** Which entries are meant; what is absent restricts nothing. */
export interface EntryFilter {
  jti?: string;
  keyId?: number;
  /** Inclusive: entries with `iat <= issuedBefore`. */
  issuedBefore?: number;
}

export function matches(entry: EntryName, { jti, keyId, issuedBefore }: EntryFilter): boolean {
  return (
    (keyId === undefined || entry.keyId === keyId) &&
    (issuedBefore === undefined || entry.iat <= issuedBefore) &&
    (jti === undefined || entry.jti === jti)
  );
}

/** What an entry's `exp` is worth at `now`: null where it has expired, and where there is none. */
export function liveExp(exp: number | null, now: number, clockToleranceSeconds: number): number | null {
  return exp !== null && exp > now - clockToleranceSeconds ? exp : null;
}
