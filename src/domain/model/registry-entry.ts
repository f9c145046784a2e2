export interface RegistryEntry {
  jti: string;
  /** {@link SigningKey.id} of the signing key. */
  keyId: number;
  iat: number;
  exp: number;
}

export type EntryName = Pick<RegistryEntry, 'jti' | 'keyId' | 'iat'>;

/** Selects entries. An absent member does not restrict. */
export interface EntryFilter {
  jti?: string | undefined;
  keyId?: number | undefined;
  /** Inclusive: `iat <= issuedBefore`. */
  issuedBefore?: number | undefined;
}

export function matches(entry: EntryName, { jti, keyId, issuedBefore }: EntryFilter): boolean {
  return (
    (keyId === undefined || entry.keyId === keyId) &&
    (issuedBefore === undefined || entry.iat <= issuedBefore) &&
    (jti === undefined || entry.jti === jti)
  );
}

export function liveExp(exp: number | null, now: number, clockToleranceSeconds: number): number | null {
  return exp !== null && exp > now - clockToleranceSeconds ? exp : null;
}
