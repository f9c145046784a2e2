import { createHash } from 'node:crypto';
import { isMeta } from '../../domain/model/token-meta.js';
import type { BackupEntry, BackupFacts } from '../../domain/ports/backup-file.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { excerpt } from '../../domain/shared/text.js';

/**
 * A backup is a text file. Each line ends with a newline.
 *
 * The first line is a JSON object: `format` (a name), `version`, `createdAt` (NumericDate seconds), `backend`
 * and `prefix` of the registry, and `key`: the content key of this file (256 random bits), sealed under the
 * keyring's first master key. The seal covers the other members of the line.
 *
 * Each following line is a JWE in Compact Serialization (RFC 7516 §7.1; `dir`, A256GCM, `zip` DEF) under the
 * content key. `chunk` in its protected header numbers these lines from 1, so a moved, missing, repeated, or
 * foreign line is detected. The plaintext has one JSON object per line and entry: `sub`, `kid`, `jti`, `iat`,
 * `exp`, and an optional `meta` (an object).
 *
 * The last line has `"last":true` in its protected header. Its plaintext is `{"whole":true}`, or false if the
 * run that wrote the file did not finish.
 */
const FORMAT = 'jwtctl backup';
const VERSION = 1;

const BACKENDS: readonly BackupFacts['backend'][] = ['redis-cluster', 'redis', 'sqlite'];

/** Returns the name that the content key is sealed under. */
export function fileName(facts: BackupFacts): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(headOf(facts)))
    .digest('base64url');
  return `${FORMAT} ${digest}`;
}

export function formatHeader(facts: BackupFacts, key: string): string {
  return JSON.stringify({ ...headOf(facts), key });
}

function headOf({ createdAt, backend, prefix }: BackupFacts) {
  return { format: FORMAT, version: VERSION, createdAt, backend, prefix };
}

export function parseHeader(line: string, name: string): { facts: BackupFacts; key: string } {
  const header = parseObject(line);
  if (header?.format !== FORMAT) throw notABackup(name);
  const { version, createdAt, backend, prefix, key } = header;
  if (version !== VERSION) throw otherVersion(name, version);
  const known = BACKENDS.find((one) => one === backend);
  if (!isTime(createdAt) || known === undefined || typeof prefix !== 'string' || typeof key !== 'string')
    throw notABackup(name);
  return { facts: { createdAt, backend: known, prefix }, key };
}

export function formatEntries(entries: readonly BackupEntry[]): string {
  return entries
    .map(({ sub, kid, jti, iat, exp, meta }) =>
      JSON.stringify({ sub, kid, jti, iat, exp, ...(meta === null ? {} : { meta }) }),
    )
    .join('\n');
}

export function parseEntries(text: string): BackupEntry[] | null {
  const entries = text.split('\n').map((line) => parseEntry(parseObject(line)));
  return entries.every((entry) => entry !== null) ? entries : null;
}

function parseEntry(value: Record<string, unknown> | null): BackupEntry | null {
  if (value === null) return null;
  const { sub, kid, jti, iat, exp, meta = null } = value;
  if (typeof sub !== 'string' || typeof jti !== 'string' || !isTime(iat) || !isTime(exp)) return null;
  if (!isTextOrNull(kid) || !(meta === null || isMeta(meta))) return null;
  return { sub, kid, jti, iat, exp, meta };
}

export function formatTrailer(isWhole: boolean): string {
  return JSON.stringify({ whole: isWhole });
}

/** Returns whether the run that wrote the file finished. */
export function parseTrailer(text: string): boolean {
  return parseObject(text)?.whole === true;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function notABackup(name: string): JwtctlError {
  return new JwtctlError('ERR_BACKUP_INVALID', `${excerpt(name)} is not a backup.`);
}

function otherVersion(name: string, version: unknown): JwtctlError {
  return new JwtctlError(
    'ERR_BACKUP_VERSION_UNSUPPORTED',
    `The backup ${excerpt(name)} has version ${excerpt(JSON.stringify(version) ?? 'unknown')}, but this jwtctl reads version ${VERSION}.`,
    { hint: 'Use a newer version of jwtctl.' },
  );
}
