import { Option } from 'commander';
import { SETTINGS } from '../config/settings.js';
import { SETTING_PREFIX } from './globals.js';

class SettingOption extends Option {
  readonly #path: string;

  constructor(path: string, flag: string, doc: string) {
    super(`${flag} <value>`, doc);
    this.#path = path;
    this.hideHelp();
  }

  override attributeName(): string {
    return `${SETTING_PREFIX}${this.#path}`;
  }
}

/** The flags of settings that are neither secrets nor commands. Only `jwtctl config show` lists them. */
export const SETTING_OPTIONS: readonly Option[] = SETTINGS.flatMap(({ path, flag, doc }) =>
  flag === null || flag === '--timeout' ? [] : [new SettingOption(path, flag, doc)],
);
