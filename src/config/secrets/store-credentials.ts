import type { Credentials, ReadCredentials, TlsMaterial } from '../../domain/shared/credentials.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { SettingPath, Settings } from '../settings.js';
import {
  MAX_SECRET_BYTES,
  type NamedBy,
  readConfigured,
  readSecretFile,
  readSecretText,
  secretIn,
} from './secret-files.js';
import { checkTlsMaterial } from './tls-files.js';

/**
 * The returned function reads the files and runs the command on each call. Calls at the same time share one run.
 * After one success, its errors have kind `unavailable`.
 */
export function credentialsReader(
  group: 'mysql' | 'redis',
  settings: Settings,
  namedBy: (setting: SettingPath) => NamedBy,
): ReadCredentials {
  const { password, passwordFile, passwordCommand, tls } = settings[group];
  let running: Promise<string> | undefined;
  const runCommand = (command: string): Promise<string> => {
    running ??= passwordFrom(group, command, settings.timeout * 1000).finally(() => {
      running = undefined;
    });
    return running;
  };

  const readPassword = async (): Promise<string | undefined> => {
    if (password !== null) return password;
    if (passwordCommand !== null) return runCommand(passwordCommand);
    return passwordFile === null ? undefined : readSecretFile(passwordFile, namedBy(`${group}.passwordFile`));
  };

  const readTls = async (): Promise<TlsMaterial | undefined> => {
    if (!tls.enabled) return undefined;
    const part = async (member: 'ca' | 'cert' | 'key') => {
      const file = tls[member];
      if (file === null) return {};
      const by = namedBy(`${group}.tls.${member}`);
      return { [member]: await (member === 'key' ? readSecretText(file, by) : readConfigured(file, by)) };
    };
    const material: TlsMaterial = Object.assign(
      {},
      ...(await Promise.all([part('ca'), part('cert'), part('key')])),
    );
    checkTlsMaterial(group, tls, material);
    return material;
  };

  let wasRead = false;
  return async (): Promise<Credentials> => {
    try {
      const [secret, material] = await Promise.all([readPassword(), readTls()]);
      wasRead = true;
      return { password: secret, tls: material };
    } catch (error) {
      throw wasRead ? unavailableForNow(error) : error;
    }
  };
}

/** Returns null without `serve.tls`. */
export async function readServeTls(
  { serve: { tls } }: Settings,
  warn?: (text: string) => void,
): Promise<Required<Pick<TlsMaterial, 'cert' | 'key'>> | null> {
  if (tls.cert === null || tls.key === null) return null;
  const [cert, key] = await Promise.all([
    readConfigured(tls.cert, { setting: 'serve.tls.cert' }),
    readSecretText(tls.key, { setting: 'serve.tls.key', warn }),
  ]);
  checkTlsMaterial('serve', { ...tls, ca: null }, { cert, key });
  return { cert, key };
}

/** Files that worked before are probably being replaced, so the error is temporary. */
function unavailableForNow(error: unknown): unknown {
  if (!(error instanceof JwtctlError)) return error;
  const { code, message, hint, details } = error;
  return new JwtctlError(code, message, { kind: 'unavailable', hint, details, cause: error });
}

/** Sentinels have their own password, and the TLS settings of Redis. */
export function sentinelCredentials(
  settings: Settings,
  namedBy: (setting: SettingPath) => NamedBy,
): ReadCredentials {
  const { redis } = settings;
  const own = { ...redis, password: null, passwordCommand: null, passwordFile: redis.sentinelPasswordFile };
  return credentialsReader('redis', { ...settings, redis: own }, (setting) =>
    namedBy(setting === 'redis.passwordFile' ? 'redis.sentinelPasswordFile' : setting),
  );
}

async function passwordFrom(group: 'mysql' | 'redis', command: string, timeoutMs: number): Promise<string> {
  const setting = `${group}.passwordCommand` as const;
  const { outputOf } = await import('./secret-command.js');
  const output = await outputOf(command, { setting, timeoutMs, code: 'ERR_PASSWORD_COMMAND_FAILED' });
  const secret = secretIn(output);
  if (secret !== null) return secret;
  throw new JwtctlError(
    'ERR_PASSWORD_COMMAND_FAILED',
    `The \`${setting}\` command did not print exactly one line of at most ${MAX_SECRET_BYTES} bytes.`,
    { hint: 'Run the command by hand to see why. jwtctl never shows its output.', details: { setting } },
  );
}
