import type { Credentials, ReadCredentials, TlsMaterial } from '../domain/shared/credentials.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { type NamedBy, readConfigured, readSecretFile, readSecretText } from './named-files.js';
import type { SettingPath } from './settings.js';
import { checkTlsMaterial } from './tls-material.js';

export interface CredentialSettings {
  readonly password: string | null;
  readonly passwordFile: string | null;
  readonly tls: {
    readonly enabled: boolean;
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
  };
}

/** Returns a function that reads the files on each call. After a success, errors have kind `unavailable`. */
export function credentialsReader(
  group: 'mysql' | 'redis',
  { password, passwordFile, tls }: CredentialSettings,
  namedBy: (setting: SettingPath) => NamedBy,
): ReadCredentials {
  const readPassword = async (): Promise<string | undefined> => {
    if (password !== null) return password;
    return passwordFile === null ? undefined : readSecretFile(passwordFile, namedBy(`${group}.passwordFile`));
  };

  const readTls = async (): Promise<TlsMaterial | undefined> => {
    if (!isTlsConfigured(tls)) return undefined;
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

/** Files that worked before are probably being replaced, so the error is temporary. */
function unavailableForNow(error: unknown): unknown {
  if (!(error instanceof JwtctlError)) return error;
  const { code, message, hint, details } = error;
  return new JwtctlError(code, message, { kind: 'unavailable', hint, details, cause: error });
}

export function isTlsConfigured({ enabled, ca, cert, key }: CredentialSettings['tls']): boolean {
  return enabled || ca !== null || cert !== null || key !== null;
}
