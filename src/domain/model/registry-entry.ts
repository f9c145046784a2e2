import { familyOf, isNamedBy } from './family.js';

export interface RegistryEntry {
  jti: string;
  /** {@link SigningKey.id} of the signing key. */
  keyId: number;
  iat: number;
  exp: number;
}

export type EntryName = Pick<RegistryEntry, 'jti' | 'keyId' | 'iat'>;

/**
 * Selects entries, and the families of refresh tokens: by their start, or by the key and `iat` of the last access
 * token.
 * An absent member does not restrict.
 */
export interface EntryFilter {
  /** One entry, and no family. */
  jti?: string | undefined;
  /** These families, and their entries. */
  families?: readonly string[] | undefined;
  keyId?: number | undefined;
  /** Inclusive: `iat <= issuedBefore`; for families without `keyId`, `startedAt <= issuedBefore`. */
  issuedBefore?: number | undefined;
  /** The `jti` of an entry, or a family with its entries, that is not selected. */
  except?: string | undefined;
  /** Selects families alone. */
  familiesOnly?: true | undefined;
}

export function matches(
  entry: EntryName,
  { jti, families, keyId, issuedBefore, except, familiesOnly }: EntryFilter,
): boolean {
  return (
    familiesOnly !== true &&
    (families === undefined || families.includes(familyOf(entry.jti) ?? '')) &&
    (keyId === undefined || entry.keyId === keyId) &&
    (issuedBefore === undefined || entry.iat <= issuedBefore) &&
    (except === undefined || !isNamedBy(entry.jti, except)) &&
    (jti === undefined || entry.jti === jti)
  );
}

/** Orders by `iat`, then by the bytes of the `jti`, then by key id. */
export function byAge(a: EntryName, b: EntryName): number {
  return a.iat - b.iat || Buffer.compare(Buffer.from(a.jti), Buffer.from(b.jti)) || a.keyId - b.keyId;
}

export function liveExp(exp: number | null, now: number, clockToleranceSeconds: number): number | null {
  return exp !== null && exp > now - clockToleranceSeconds ? exp : null;
}
