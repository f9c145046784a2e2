import { existsSync } from 'node:fs';
import { formatDuration } from '../domain/shared/duration.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { isAcceptedType } from '../domain/verification/token-type.js';
import {
  clientSecretSetting,
  embeddedKeyringFile,
  readClientSecret,
  readConfigured,
  readSecretFile,
  readSecretText,
} from './secrets/secret-files.js';
import { credentialsReader, readServeTls } from './secrets/store-credentials.js';
import { readPublishCa } from './secrets/tls-files.js';
import { type SettingPath, type Settings, settingOf } from './settings.js';
import { type Origin, originText } from './sources/setting-origin.js';

/** Uses are stored with a precision of a tenth of the timeout, and times are whole seconds. */
const MIN_IDLE_SECONDS = 10;

type Origins = Readonly<Record<SettingPath, Origin>>;

export function contradictions(settings: Settings, origins: Origins): JwtctlError[] {
  const { token, redis, mysql, keys, users, serve, registry } = settings;
  const from = (path: SettingPath) => originText(origins[path]);
  const problems: JwtctlError[] = [];
  const contradict = (paths: SettingPath[], message: string) => problems.push(contradiction(paths, message));
  const need = (what: string, missing: SettingPath) => problems.push(incomplete(what, missing));
  if (token.ttl > token.maxTtl) {
    contradict(
      ['token.ttl', 'token.maxTtl'],
      `token.ttl (${formatDuration(token.ttl)}, ${from('token.ttl')}) is longer than token.maxTtl (${formatDuration(token.maxTtl)}, ${from('token.maxTtl')}).`,
    );
  }
  if (!isAcceptedType(token.type, token.acceptTypes)) {
    contradict(
      ['token.type', 'token.acceptTypes'],
      `token.type is ${token.type} (${from('token.type')}), but token.acceptTypes (${from('token.acceptTypes')}) does not include it.`,
    );
  }
  if (token.idleTimeout !== null && token.idleTimeout < MIN_IDLE_SECONDS) {
    contradict(
      ['token.idleTimeout'],
      `token.idleTimeout is ${formatDuration(token.idleTimeout)} (${from('token.idleTimeout')}); expected at least ${formatDuration(MIN_IDLE_SECONDS)}.`,
    );
  }
  if (redis.mode === 'standalone' && redis.nodes !== null && redis.nodes.length !== 1) {
    contradict(
      ['redis.mode', 'redis.nodes'],
      `redis.nodes (${from('redis.nodes')}) lists ${redis.nodes.length} nodes, but redis.mode standalone (${from('redis.mode')}) allows only one.`,
    );
  }
  if (redis.mode === 'sentinel' && redis.sentinelMaster === null)
    problems.push(incomplete('redis.mode sentinel', 'redis.sentinelMaster'));
  if (users.source === 'table') {
    if (users.table === null) need('users.source table', 'users.table');
    if (users.column === null) need('users.source table', 'users.column');
  } else if (users.claims !== null) {
    contradict(
      ['users.claims', 'users.source'],
      `users.claims (${from('users.claims')}) needs users.source table, but it is ${users.source} (${from('users.source')}).`,
    );
  }
  if (registry.onLimit === 'refuse' && registry.maxPerSubject === null)
    need('registry.onLimit refuse', 'registry.maxPerSubject');
  for (const [store, tls] of [['mysql', mysql.tls] as const, ['redis', redis.tls] as const]) {
    const { cert, key } = tls;
    const enabled = `${store}.tls.enabled` as const;
    const files = (['ca', 'cert', 'key'] as const).filter((member) => tls[member] !== null);
    if (!tls.enabled && files.length > 0) {
      const set = files.map((member) => `${store}.tls.${member}` as const);
      contradict(
        [enabled, ...set],
        `${enabled} is false (${from(enabled)}), but ${set.map((path) => `${path} (${from(path)})`).join(' and ')} turns TLS on. Remove one of them.`,
      );
    }
    if (cert !== null && key === null) need(`${store}.tls.cert`, `${store}.tls.key`);
    if (key !== null && cert === null) need(`${store}.tls.key`, `${store}.tls.cert`);
  }
  if (keys.publishCa !== null && keys.publishUrl === null) need('keys.publishCa', 'keys.publishUrl');
  if (keys.publishCa !== null && keys.publishUrl?.startsWith('http:')) {
    contradict(
      ['keys.publishCa', 'keys.publishUrl'],
      `keys.publishCa (${from('keys.publishCa')}) needs keys.publishUrl with https, but it is ${keys.publishUrl} (${from('keys.publishUrl')}).`,
    );
  }
  if (serve.publicUrl !== null && serve.publicUrl !== token.issuer) {
    contradict(
      ['serve.publicUrl', 'token.issuer'],
      `serve.publicUrl is ${serve.publicUrl} (${from('serve.publicUrl')}), but token.issuer is ${token.issuer} (${from('token.issuer')}). Clients require both to be the same.`,
    );
  }
  const mayLook = serve.clients?.some(({ may, audiences }) => may.includes('read') && audiences === null);
  if (serve.dashboard && mayLook !== true) {
    contradict(
      ['serve.dashboard', 'serve.clients'],
      `serve.dashboard is true (${from('serve.dashboard')}), but no client in serve.clients (${from('serve.clients')}) may read and has no audiences.`,
    );
  }
  if (serve.tls.cert !== null && serve.tls.key === null) need('serve.tls.cert', 'serve.tls.key');
  if (serve.tls.key !== null && serve.tls.cert === null) need('serve.tls.key', 'serve.tls.cert');
  return problems;
}

/** Separate from {@link contradictions}, because commands that open no store do not need both. */
export function incompleteStores(settings: Settings): JwtctlError | null {
  if ((settings.mysql.url === null) === (settings.redis.nodes === null)) return null;
  return settings.mysql.url === null
    ? incomplete('redis.nodes', 'mysql.url')
    : incomplete('mysql.url', 'redis.nodes');
}

export async function namedFileFaults(
  settings: Settings,
  warn: (text: string) => void,
): Promise<JwtctlError[]> {
  const { mysql, redis, masterKey, keys, serve } = settings;
  const named: [string, string | null, typeof readConfigured][] = [
    ['mysql.passwordFile', mysql.passwordFile, readSecretFile],
    ['mysql.tls.ca', mysql.tls.ca, readConfigured],
    ['mysql.tls.cert', mysql.tls.cert, readConfigured],
    ['mysql.tls.key', mysql.tls.key, readSecretText],
    ['redis.passwordFile', redis.passwordFile, readSecretFile],
    ['redis.sentinelPasswordFile', redis.sentinelPasswordFile, readSecretFile],
    ['redis.tls.ca', redis.tls.ca, readConfigured],
    ['redis.tls.cert', redis.tls.cert, readConfigured],
    ['redis.tls.key', redis.tls.key, readSecretText],
    ['keys.publishCa', keys.publishCa, readConfigured],
    ['masterKey.file', masterKey.file ?? embeddedKeyring(settings), readSecretText],
    ...(serve.clients ?? []).map(({ secretFile }, index): (typeof named)[number] => [
      clientSecretSetting(index),
      secretFile,
      readClientSecret,
    ]),
  ];
  const faults: JwtctlError[] = [];
  for (const [setting, file, read] of named) {
    if (file === null) continue;
    await read(file, { setting, warn }).catch((error: unknown) => {
      if (!(error instanceof JwtctlError)) throw error;
      faults.push(error);
    });
  }
  if (faults.length > 0) return faults;
  const stores = (['mysql', 'redis'] as const).map((group) => {
    const files = { ...settings, [group]: { ...settings[group], passwordCommand: null } };
    return credentialsReader(group, files, (setting) => ({ setting }));
  });
  for (const read of [() => readServeTls(settings), () => readPublishCa(settings), ...stores]) {
    await read().catch((error: unknown) => {
      if (!(error instanceof JwtctlError)) throw error;
      faults.push(error);
    });
  }
  return faults;
}

function embeddedKeyring({ data, masterKey }: Settings): string | null {
  const isSet = Object.values(masterKey).some((value) => value !== null);
  const file = embeddedKeyringFile({ data });
  return isSet || !existsSync(file) ? null : file;
}

function contradiction(settings: SettingPath[], message: string): JwtctlError {
  return new JwtctlError('ERR_CONFIG_VALUE_INVALID', message, { details: { settings } });
}

function incomplete(what: string, missing: SettingPath): JwtctlError {
  const { variable, doc } = settingOf(missing);
  return new JwtctlError('ERR_CONFIG_INCOMPLETE', `${what} is set, but ${missing} (${variable}) is not.`, {
    hint: `Set ${missing} or ${variable}: ${doc}`,
    details: { setting: missing, variable },
  });
}
