import { JweSealer } from '../../src/adapters/sealing/jwe-sealer.js';
import type { KeyringSource } from '../../src/adapters/sealing/keyring-source.js';
import { MasterKeys } from '../../src/adapters/sealing/master-keys.js';
import type { Clock } from '../../src/domain/ports/index.js';

/** Creates a sealer with its own keyring. */
export function newSealer(source: KeyringSource, clock: Clock): JweSealer {
  return new JweSealer(new MasterKeys(source, clock));
}
