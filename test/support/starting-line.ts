import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import { temporaryFolder } from './cli.js';

export interface StartingLine {
  /** The command of a keyring, `masterKey.command`, that waits to be released before it gives the keyring. */
  readonly command: string;
  /** Resolves once so many wait, and lets them go on. */
  release(count: number): Promise<void>;
}

/**
 * Holds processes back at the moment at which they seal the key that they have made: they have read the key store by
 * then, and have not written to it.
 *
 * @param keyring the file with the master key
 */
export function openStartingLine(keyring: string): StartingLine {
  const folder = temporaryFolder();
  const [waiting, signal] = [join(folder, 'waiting'), join(folder, 'signal')];
  mkdirSync(waiting);
  return {
    command: `: > '${waiting}'/$$; until [ -e '${signal}' ]; do sleep 0.1; done; cat '${keyring}'`,
    release: async (count) => {
      await vi.waitFor(() => {
        if (readdirSync(waiting).length < count) throw new Error(`Fewer than ${count} wait so far.`);
      }, 60_000);
      writeFileSync(signal, '');
    },
  };
}
