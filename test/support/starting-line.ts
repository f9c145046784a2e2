import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import { temporaryFolder } from './cli.js';

export interface StartingLine {
  /** A `masterKey.command` that waits for the release before it prints the keyring. */
  readonly command: string;
  /** Waits for `count` processes, and releases them. */
  release(count: number): Promise<void>;
}

/**
 * Holds processes at the moment at which they seal a new key: they have read the key store and not written to it yet.
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
