import type { KeyState, SigningKey } from '../model/signing-key.js';
import type { TokenMeta } from '../model/token-meta.js';
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

export interface FoundEntry {
  sub: string;
  jti: string;
  kid: string | null;
  state: KeyState | null;
  iat: number;
  exp: number;
  meta: TokenMeta | null;
  /** Its master; the file's name for SQLite. */
  node: string;
  /** From the user directory. */
  userStatus: UserStatus | 'unknown';
  /** As stored, expired or not. */
  cachedUser: KnownUserStatus | null;
}

/**
 * Tokens of several issuers may share a `jti`; then `key` and `iat` tell them apart.
 * @throws JwtctlError `ERR_ENTRY_NOT_FOUND` (not_found); `ERR_ENTRY_AMBIGUOUS` (state), matches in `details`
 */
export async function findEntry(
  ports: { registry: RegistryScanner; users: Pick<UserDirectory, 'find'> },
  keys: readonly SigningKey[],
  { sub, now, ...wanted }: { sub: string; now: number } & Wanted,
): Promise<FoundEntry> {
  const found: Array<ScannedEntry & { node: string }> = [];
  let cachedUser: KnownUserStatus | null = null;
  const collect = (parts: readonly ScannedSubject[]) => {
    for (const { entries, details, node } of parts) {
      cachedUser ??= details?.user ?? null;
      for (const entry of entries) if (isWanted(entry, wanted)) found.push({ ...entry, node });
    }
  };
  const [, user] = await Promise.all([
    ports.registry.scan(collect, { now, sub, withDetails: true }),
    ports.users.find(sub),
  ]);

  const byId = new Map(keys.map((key) => [key.id, key]));
  const [only, ...others] = found;
  if (only === undefined) {
    const message = `Subject ${excerpt(sub)} has no live token ${excerpt(wanted.jti)}.`;
    throw new JwtctlError('ERR_ENTRY_NOT_FOUND', message, { details: { sub } });
  }
  if (others.length > 0) throw ambiguous(found, sub, wanted.jti, byId);
  const key = byId.get(only.keyId);
  const { jti, iat, exp, meta, node } = only;
  const userStatus = user?.status ?? 'unknown';
  return {
    ...{ sub, jti, kid: key?.kid ?? null, state: key?.state ?? null, iat, exp, meta, node },
    ...{ userStatus, cachedUser },
  };
}

interface Wanted {
  jti: string;
  key?: SigningKey | undefined;
  iat?: number | undefined;
}

function isWanted(entry: RegistryEntry, { jti, key, iat }: Wanted): boolean {
  return (
    entry.jti === jti &&
    (key === undefined || entry.keyId === key.id) &&
    (iat === undefined || entry.iat === iat)
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
    `Subject ${excerpt(sub)} has ${entries.length} live tokens ${excerpt(jti)}: ${names}.`,
    { details: { entries: shown } },
  );
}
