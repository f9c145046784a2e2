import type { ErrorEntry } from './entry.js';

export const CONFIG_ERRORS = {
  ERR_CALLBACK_INVALID: {
    kind: 'usage',
    meaning: 'A callback passed to `createVerifier` returned an invalid value.',
    remedy: 'Make the callback return a value of the form that the message names.',
  },
  ERR_CONFIG_FILE_INVALID: {
    kind: 'usage',
    meaning: 'The content of a file that a setting or flag names is invalid.',
    remedy: 'Check that the setting names the right file, then check the content of the file.',
  },
  ERR_CONFIG_FILE_MISSING: {
    kind: 'usage',
    meaning: 'The configuration file, or a file that a setting or flag names, does not exist.',
    remedy: 'Correct the path or create the file. `jwtctl config path` lists the configuration files.',
  },
  ERR_CONFIG_FILE_UNREADABLE: {
    kind: 'usage',
    meaning:
      'The configuration file, or a file that a setting or flag names, cannot be read or is too large.',
    remedy: 'Give the account that runs jwtctl read access to the file, or name another file.',
  },
  ERR_CONFIG_FILE_UNSAFE: {
    kind: 'usage',
    meaning: 'Other accounts can change the file, its folder, or a link to it, so jwtctl does not trust it.',
    remedy: 'Correct the owner and the permissions as the message says.',
  },
  ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE: {
    kind: 'usage',
    meaning: 'A project file (`jwtctl.yaml`) sets a setting that is not allowed there.',
    remedy:
      'Move the setting to the user file, the system file, a variable, or a flag. `jwtctl config path` lists the files.',
  },
  ERR_CONFIG_INCOMPLETE: {
    kind: 'usage',
    meaning: 'A setting requires another setting that is not set.',
    remedy: 'Set the missing setting that the message names.',
  },
  ERR_CONFIG_PROFILE_UNKNOWN: {
    kind: 'usage',
    meaning: 'No configuration file has a profile of this name.',
    remedy:
      'Choose one of the profiles that the message lists, or run `jwtctl config path` to see which files are read.',
  },
  ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS: {
    kind: 'usage',
    meaning:
      'A project file sets the address of a store, but a secret for that store comes from another place.',
    remedy:
      'Set the address in the same place as the secret. If you trust the project file, pass it with `--config`.',
  },
  ERR_CONFIG_SECRET_IN_FLAG: {
    kind: 'usage',
    meaning: 'A flag contains a password, which every account on the host can see in the process list.',
    remedy: 'Remove the password from the flag, and set it in a file or a variable.',
  },
  ERR_CONFIG_SETTING_UNKNOWN: {
    kind: 'usage',
    meaning: 'A configuration file contains a setting that does not exist.',
    remedy: 'Correct the name. `jwtctl config show` lists all settings.',
  },
  ERR_CONFIG_SYNTAX: {
    kind: 'usage',
    meaning: 'The configuration file is not valid YAML or JSON.',
    remedy: 'Correct the line that the message names. Quote values that begin with one of `* & ! @ % [ {`.',
  },
  ERR_CONFIG_VALUE_INVALID: {
    kind: 'usage',
    meaning: 'A setting has an invalid value.',
    remedy:
      'Correct the value as the message says. `jwtctl config show` lists each value and where it comes from.',
  },
  ERR_CONFIG_VARIABLE_UNKNOWN: {
    kind: 'usage',
    meaning: 'The name of an environment variable begins with `JWTCTL_`, but jwtctl has no such variable.',
    remedy: 'Correct the name or unset the variable. `jwtctl config show` lists all variables.',
  },
  ERR_OPTION_INVALID: {
    kind: 'usage',
    meaning: 'An option passed to `createVerifier` has an invalid value.',
    remedy: 'Pass a value of the form that the message names.',
  },
  ERR_TLS_FILE_INVALID: {
    kind: 'usage',
    meaning: 'A TLS certificate or private key file cannot be used.',
    remedy:
      'Replace the file with an unencrypted PEM file, and use a certificate and a private key that match.',
  },
} as const satisfies Record<string, ErrorEntry>;
