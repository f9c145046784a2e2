import { existsSync } from 'node:fs';
import type { MacKeys } from '../adapters/sealing/mac-keys.js';
import type { MasterKeys } from '../adapters/sealing/master-keys.js';
import { readKeyringFile } from '../config/secrets/secret-files.js';
import type { Settings } from '../config/settings.js';
import type { Clock, ContentKeySealer, RefreshTokenSealer, Sealer } from '../domain/ports/index.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { chooseKeyringSource, type KeyringSourceOptions } from './choose-keyring-source.js';
import type { Messages } from './context.js';
import { once } from './once.js';

export interface SealingOptions extends KeyringSourceOptions, Pick<Messages, 'warn' | 'trace'> {
  settings: Settings;
  clock: Clock;
}

/** Returns the parts that use the master keyring, which is read on first use. */
export function openSealing({ settings, clock, warn, trace, ...options }: SealingOptions) {
  const masterKeys = once(async (): Promise<MasterKeys> => {
    const { MasterKeys } = await import('../adapters/sealing/master-keys.js');
    const source = chooseKeyringSource(settings, options);
    trace(`The master keyring comes from ${'file' in source ? source.file : `a ${source.kind}`}.`);
    return new MasterKeys(source, clock);
  });

  const missingKeyring = async (): Promise<string | null> => {
    const { file } = settings.masterKey;
    return file === null || existsSync(file) ? null : file;
  };

  return {
    missingKeyring,
    createKeyring: async (): Promise<string | null> => {
      const file = await missingKeyring();
      if (file === null) return null;
      const { loadKeyring } = await import('../adapters/sealing/keyring-source.js');
      const mayCreate = async () => {
        try {
          return !(await options.hasSealedKeys());
        } catch (error) {
          if (error instanceof JwtctlError && NO_KEYS_YET.has(error.code)) return true;
          throw error;
        }
      };
      const read = (name: string) => readKeyringFile(name, options.namedBy('masterKey.file'));
      await loadKeyring({ kind: 'embedded', file, read, mayCreate, onCreated: () => {} });
      return file;
    },
    checkKeyring: async () => void (await (await masterKeys()).existing()),
    auditKeys: once(async (): Promise<MacKeys> => {
      const { MacKeys } = await import('../adapters/sealing/mac-keys.js');
      const onFailure = ({ message }: JwtctlError) =>
        warn(`Warning: this command's rows in the audit log are not authenticated. ${message}`);
      return new MacKeys(await masterKeys(), { purpose: 'audit log', clock, onFailure });
    }),
    /** Reports no failure: callers that need the keyring for their main work fail on their own. */
    markKeys: once(async (): Promise<MacKeys> => {
      const { MacKeys } = await import('../adapters/sealing/mac-keys.js');
      return new MacKeys(await masterKeys(), { purpose: 'high-water marks', clock, onFailure: () => {} });
    }),
    sealer: once(async (): Promise<Sealer & ContentKeySealer> => {
      const { JweSealer } = await import('../adapters/sealing/jwe-sealer.js');
      return new JweSealer(await masterKeys());
    }),
    refreshTokenSealer: once(async (): Promise<RefreshTokenSealer> => {
      const { AesRefreshTokenSealer } = await import('../adapters/sealing/refresh-token-sealer.js');
      return new AesRefreshTokenSealer(await masterKeys());
    }),
  };
}

/** The codes for a store without tables. */
const NO_KEYS_YET = new Set<string>(['ERR_SCHEMA_OUTDATED', 'ERR_NO_STORE']);
