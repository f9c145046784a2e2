import type { SettingsInput } from '../config/settings.js';

/** The options of the library. In a file of its own, so that the package's types name no driver of a store. */
export type OpenOptions = SettingsInput & {
  /** Whether to look for a project file (`jwtctl.yaml`) from the working directory upward. Default: false */
  projectFile?: boolean;
};
