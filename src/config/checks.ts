import { accessSync, constants, statSync } from 'node:fs';
import { formatDuration } from '../domain/duration.js';
import { JwtctlError } from '../domain/errors.js';
import { fileNameShown } from '../domain/prose.js';
import { type Origin, originText } from './origin.js';
import { type SettingPath, type Settings, settingOf } from './settings.js';

type Origins = Readonly<Record<SettingPath, Origin>>;

/** Settings that are right one by one and wrong together. */
export function contradictions(settings: Settings, origins: Origins): JwtctlError[] {
  const { token, redis, mysql, users, serve } = settings;
  const from = (path: SettingPath) => originText(origins[path]);
  const problems: JwtctlError[] = [];
  if (token.ttl > token.maxTtl) {
    problems.push(
      contradiction(
        ['token.ttl', 'token.maxTtl'],
        `token.ttl (${formatDuration(token.ttl)}, ${from('token.ttl')}) is longer than token.maxTtl (${formatDuration(token.maxTtl)}, ${from('token.maxTtl')}).`,
      ),
    );
  }
  if (redis.mode === 'standalone' && redis.nodes !== null && redis.nodes.length !== 1) {
    problems.push(
      contradiction(
        ['redis.mode', 'redis.nodes'],
        `redis.nodes (${from('redis.nodes')}) names ${redis.nodes.length} nodes, and redis.mode standalone (${from('redis.mode')}) means one server.`,
      ),
    );
  }
  if (users.source === 'table') {
    if (users.table === null) problems.push(lacks('users.source table', 'users.table'));
    if (users.column === null) problems.push(lacks('users.source table', 'users.column'));
  }
  for (const [store, { cert, key }] of [['mysql', mysql.tls] as const, ['redis', redis.tls] as const]) {
    if (cert !== null && key === null) problems.push(lacks(`${store}.tls.cert`, `${store}.tls.key`));
    if (key !== null && cert === null) problems.push(lacks(`${store}.tls.key`, `${store}.tls.cert`));
  }
  const { clientId, secret, secretFile } = serve.introspection;
  const hasSecret = secret !== null || secretFile !== null;
  if (clientId !== null && !hasSecret) {
    problems.push(lacks('serve.introspection.clientId', 'serve.introspection.secretFile'));
  }
  if (clientId === null && hasSecret) {
    problems.push(lacks('A secret for introspection', 'serve.introspection.clientId'));
  }
  return problems;
}

/**
 * What is missing where only one of the two servers is configured. Apart from {@link contradictions}, because what opens
 * no store can do without.
 */
export function incompleteStores(settings: Settings): JwtctlError | null {
  if ((settings.mysql.url === null) === (settings.redis.nodes === null)) return null;
  return settings.mysql.url === null ? lacks('redis.nodes', 'mysql.url') : lacks('mysql.url', 'redis.nodes');
}

/** The files that the settings name and that cannot be read. */
export function unreadableFiles(settings: Settings): JwtctlError[] {
  const { mysql, redis, masterKey, serve } = settings;
  const named: [SettingPath, string | null][] = [
    ['mysql.passwordFile', mysql.passwordFile],
    ['mysql.tls.ca', mysql.tls.ca],
    ['mysql.tls.cert', mysql.tls.cert],
    ['mysql.tls.key', mysql.tls.key],
    ['redis.passwordFile', redis.passwordFile],
    ['redis.tls.ca', redis.tls.ca],
    ['redis.tls.cert', redis.tls.cert],
    ['redis.tls.key', redis.tls.key],
    ['masterKey.file', masterKey.file],
    ['serve.introspection.secretFile', serve.introspection.secretFile],
  ];
  return named.flatMap(([path, file]) => {
    const code = file === null ? null : readFault(file);
    return code === null ? [] : [unreadable(path, String(file), code)];
  });
}

/** The files with secrets that the settings name and that others may write. */
export function unsafeFiles({ mysql, redis, masterKey, serve }: Settings): JwtctlError[] {
  const { secretFile } = serve.introspection;
  const named = [mysql.passwordFile, redis.passwordFile, masterKey.file, secretFile];
  return named.flatMap((file) => (file === null ? [] : (unsafeSecretFile(file) ?? [])));
}

/** Whoever may write a secret may put their own in its place. Null for a file that is safe, or cannot be read. */
export function unsafeSecretFile(file: string): JwtctlError | null {
  if (readFault(file) !== null || (statSync(file).mode & 0o022) === 0) return null;
  return new JwtctlError(
    'usage',
    'ERR_CONFIG_FILE_UNSAFE',
    `The file ${file} holds a secret and may be written by others.`,
    {
      hint: `Run \`chmod 600 ${file}\`, and make sure that nobody has changed it.`,
      details: { file },
    },
  );
}

function contradiction(settings: SettingPath[], message: string): JwtctlError {
  return new JwtctlError('usage', 'ERR_CONFIG_VALUE_INVALID', message, { details: { settings } });
}

function lacks(what: string, missing: SettingPath): JwtctlError {
  const { variable, doc } = settingOf(missing);
  return new JwtctlError(
    'usage',
    'ERR_CONFIG_INCOMPLETE',
    `${what} is set, and ${missing} (${variable}) is not.`,
    {
      hint: `Set ${missing} or ${variable}: ${doc}`,
      details: { setting: missing, variable },
    },
  );
}

function readFault(file: string): string | null {
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isDirectory() ? 'EISDIR' : null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}

function unreadable(path: SettingPath, file: string, code: string): JwtctlError {
  const missing = code === 'ENOENT' || code === 'ENOTDIR';
  return new JwtctlError(
    'usage',
    missing ? 'ERR_CONFIG_FILE_MISSING' : 'ERR_CONFIG_FILE_UNREADABLE',
    `The file ${fileNameShown(file)} (${path}) ${missing ? 'does not exist' : `cannot be read (${code})`}.`,
    { details: { setting: path, file } },
  );
}
