import { embeddedKeyringFile, type NamedBy, readKeyringFile } from '../config/secrets/secret-files.js';
import type { SettingPath, Settings } from '../config/settings.js';

export interface KeyringSourceOptions {
  namedBy(setting: SettingPath): NamedBy;
  /** Whether the store has a private key that is sealed under a master key. */
  hasSealedKeys(): Promise<boolean>;
  /** Called with text for the user when a master key file was created. */
  say(text: string): void;
}

/** Decides where the master keyring comes from: a setting, or a file next to the embedded store. */
export function chooseKeyringSource(
  settings: Settings,
  { namedBy, hasSealedKeys, say }: KeyringSourceOptions,
) {
  const { value, file, command } = settings.masterKey;
  const read = (name: string) => readKeyringFile(name, namedBy('masterKey.file'));
  if (value !== null) return { kind: 'value', text: value } as const;
  if (file !== null) return { kind: 'file', file, read } as const;
  if (command !== null) {
    const by = {
      setting: 'masterKey.command',
      timeoutMs: settings.timeout * 1000,
      code: 'ERR_MASTER_KEY_COMMAND_FAILED',
    } as const;
    return {
      kind: 'command',
      run: async () => (await import('../config/secrets/secret-command.js')).outputOf(command, by),
    } as const;
  }
  const need =
    settings.mysql.url === null
      ? 'Keep a copy of it'
      : 'Copy it to every host that signs or rotates, and keep another copy';
  return {
    kind: 'embedded',
    file: embeddedKeyringFile(settings),
    read,
    // A new master key could not open keys sealed under a lost one, and would hide the loss.
    mayCreate: async () => !(await hasSealedKeys()),
    onCreated: (created: string) =>
      say(
        `Created the master key file ${created}. ${need} in a safe place. Without it, no signing key can be opened.`,
      ),
  } as const;
}
