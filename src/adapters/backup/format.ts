import { createHash } from 'node:crypto';
import type { BackupEntry, BackupFacts } from '../../domain/ports/backup-file.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { excerpt } from '../../domain/shared/text.js';

/*
 * A backup is a text file. Each of its lines ends with a newline.
 *
 * The first line is a JSON object: `format` (a name), `version`, `createdAt` (NumericDate seconds), `backend` and `prefix`
 * of the registry, and `key`: 256 random bits, the content key of this file, as the keyring's first master key seals them.
 * It is bound to all that stands before it on the line.
 *
 * Each further line is a JWE in Compact Serialization (RFC 7516 §7.1; `dir`, A256GCM, `zip` DEF) under the content key.
 * `chunk` in its protected header counts these lines from 1, so that none can be moved, left out, repeated or taken from
 * another file unseen. What is encrypted is a JSON object a line for each entry: `sub`, `kid`, `jti`, `iat`, `exp`, and
 * `label` where there is one.
 *
 * The last line is like them, with `"last":true` in its protected header beside the number, which tells how many there
 * were. It holds `{"whole":true}`, or false where the run that wrote the file did not come to its end.
 */
const FORMAT = 'jwtctl backup';
const VERSION = 1;

const BACKENDS: readonly BackupFacts['backend'][] = ['redis-cluster', 'redis', 'sqlite'];

/** What the content key is bound to. */
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

/** @throws JwtctlError `ERR_BACKUP_INVALID`, `ERR_BACKUP_VERSION_UNSUPPORTED` (usage) */
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
    .map(({ sub, kid, jti, iat, exp, label }) =>
      JSON.stringify({ sub, kid, jti, iat, exp, ...(label === null ? {} : { label }) }),
    )
    .join('\n');
}

/** Null where something else stands there. */
export function parseEntries(text: string): BackupEntry[] | null {
  const entries = text.split('\n').map((line) => parseEntry(parseObject(line)));
  return entries.every((entry) => entry !== null) ? entries : null;
}

function parseEntry(value: Record<string, unknown> | null): BackupEntry | null {
  if (value === null) return null;
  const { sub, kid, jti, iat, exp, label = null } = value;
  if (typeof sub !== 'string' || typeof jti !== 'string' || !isTime(iat) || !isTime(exp)) return null;
  if (!isTextOrNull(kid) || !isTextOrNull(label)) return null;
  return { sub, kid, jti, iat, exp, label };
}

export function formatTrailer(isWhole: boolean): string {
  return JSON.stringify({ whole: isWhole });
}

/** Whether it says that the run came to its end. */
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
  return new JwtctlError('ERR_BACKUP_INVALID', `There is no backup in ${excerpt(name)}.`);
}

function otherVersion(name: string, version: unknown): JwtctlError {
  return new JwtctlError(
    'ERR_BACKUP_VERSION_UNSUPPORTED',
    `The backup in ${excerpt(name)} is of version ${excerpt(JSON.stringify(version) ?? 'unknown')}; this jwtctl reads version ${VERSION}.`,
    { hint: 'Read it with a newer jwtctl.' },
  );
}
