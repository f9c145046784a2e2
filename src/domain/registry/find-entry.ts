import type { KeyState, SigningKey } from '../model/signing-key.js';
import type {
  KnownUserStatus,
  RegistryEntry,
  RegistryScanner,
  ScannedEntry,
  ScannedSubject,
  UserDirectory,
  UserStatus,
} from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';

/** One entry, with what decides beside it whether its token is accepted. */
export interface FoundEntry {
  sub: string;
  jti: string;
  /** Null where the key store has no such key (any more). */
  kid: string | null;
  state: KeyState | null;
  iat: number;
  exp: number;
  label: string | null;
  /** The master that holds it; the file's name for SQLite. */
  node: string;
  /** As the user directory has it now. */
  userStatus: UserStatus | 'unknown';
  /** As it is noted beside the entries, whether its time is over or not. */
  cachedUser: KnownUserStatus | null;
}

/**
 * Finds the live entry of a token.
 *
 * An issuer gives each token a `jti` of its own (RFC 7519 §4.1.7), but entries may come from several issuers: an entry is
 * that of `jti`, key and `iat` together. Where the `jti` alone means several, none is picked.
 *
 * @throws JwtctlError `ERR_ENTRY_NOT_FOUND` (not_found); `ERR_ENTRY_AMBIGUOUS` (state), which names them all
 */
export async function findEntry(
  ports: { registry: RegistryScanner; users: Pick<UserDirectory, 'find'> },
  keys: readonly SigningKey[],
  { sub, now, ...wanted }: { sub: string; jti: string; key?: SigningKey; iat?: number; now: number },
): Promise<FoundEntry> {
  const found: Array<ScannedEntry & { node: string }> = [];
  let cachedUser: KnownUserStatus | null = null;
  const take = (parts: readonly ScannedSubject[]) => {
    for (const { entries, details, node } of parts) {
      cachedUser ??= details?.user ?? null;
      for (const entry of entries) if (isWanted(entry, wanted)) found.push({ ...entry, node });
    }
  };
  const [, user] = await Promise.all([
    ports.registry.scan(take, { now, sub, withDetails: true }),
    ports.users.find(sub),
  ]);

  const byId = new Map(keys.map((key) => [key.id, key]));
  const [only, ...others] = found;
  if (only === undefined) throw notFound(sub, wanted.jti);
  if (others.length > 0) throw ambiguous(found, sub, wanted.jti, byId);
  const key = byId.get(only.keyId);
  const { jti, iat, exp, label, node } = only;
  const userStatus = user?.status ?? 'unknown';
  return {
    ...{ sub, jti, kid: key?.kid ?? null, state: key?.state ?? null, iat, exp, label, node },
    ...{ userStatus, cachedUser },
  };
}

function isWanted(
  entry: RegistryEntry,
  { jti, key, iat }: { jti: string; key?: SigningKey; iat?: number },
): boolean {
  return (
    entry.jti === jti &&
    (key === undefined || entry.keyId === key.id) &&
    (iat === undefined || entry.iat === iat)
  );
}

function notFound(sub: string, jti: string): JwtctlError {
  return new JwtctlError(
    'ERR_ENTRY_NOT_FOUND',
    `There is no live entry ${excerpt(jti)} of subject ${excerpt(sub)}: such a token is refused.`,
  );
}

function ambiguous(
  entries: readonly RegistryEntry[],
  sub: string,
  jti: string,
  keys: ReadonlyMap<number, SigningKey>,
): JwtctlError {
  const shown = entries.map(({ keyId, iat, exp }) => ({ kid: keys.get(keyId)?.kid ?? null, iat, exp }));
  const names = shown.map(({ kid, iat }) => `${kid ?? '(unknown)'} issued at ${iat}`).join(', ');
  return new JwtctlError(
    'ERR_ENTRY_AMBIGUOUS',
    `Subject ${excerpt(sub)} has ${entries.length} live entries ${excerpt(jti)}: ${names}.`,
    { details: { entries: shown } },
  );
}
