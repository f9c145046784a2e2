import { JweSealer } from '../../src/adapters/sealing/jwe-sealer.js';
import type { KeyringSource } from '../../src/adapters/sealing/keyring-source.js';
import { MasterKeys } from '../../src/adapters/sealing/master-keys.js';
import { outputOf } from '../../src/config/secrets/secret-command.js';
import type { Clock } from '../../src/domain/ports/index.js';

export function runKeyringCommand(command: string, timeoutMs: number): Promise<string> {
  return outputOf(command, {
    setting: 'masterKey.command',
    timeoutMs,
    code: 'ERR_MASTER_KEY_COMMAND_FAILED',
  });
}

/** Creates a sealer with its own keyring. */
export function newSealer(source: KeyringSource, clock: Clock): JweSealer {
  return new JweSealer(new MasterKeys(source, clock));
}
