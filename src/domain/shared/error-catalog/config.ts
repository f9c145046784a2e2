import { unavailable, usage } from './entry.js';

export const CONFIG_ERRORS = {
  ERR_CALLBACK_INVALID: usage(
    'A callback passed to `createVerifier` returned an invalid value.',
    'Make the callback return a value of the form that the message names.',
  ),
  ERR_CONFIG_FILE_INVALID: usage(
    'A setting or flag names a file whose content is invalid.',
    'Check that the setting names the right file, then check the content of the file.',
  ),
  ERR_CONFIG_FILE_MISSING: usage(
    'The configuration file does not exist, or a setting or flag names a file that does not exist.',
    'Correct the path or create the file. `jwtctl config path` lists the configuration files.',
  ),
  ERR_CONFIG_FILE_NOT_EDITABLE: usage(
    '`jwtctl init` cannot edit the configuration file in its present form.',
    'Edit the file by hand, or name a new file.',
  ),
  ERR_CONFIG_FILE_UNREADABLE: usage(
    'The configuration file, or another file that a setting or flag names, cannot be read or is too large.',
    'Give the account that runs jwtctl read access to the file, or name another file.',
  ),
  ERR_CONFIG_FILE_UNSAFE: usage(
    'Other accounts can change the file, its folder, or a link to it, so jwtctl does not trust the file.',
    'Correct the owner and the permissions as the message says.',
  ),
  ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE: usage(
    'A project file (`jwtctl.yaml`) contains a setting that is not allowed there.',
    'Move the setting to the user file, the system file, a variable, or a flag. `jwtctl config path` lists the files.',
  ),
  ERR_CONFIG_INCOMPLETE: usage(
    'A setting requires another setting that is not set.',
    'Set the missing setting that the message names.',
  ),
  ERR_CONFIG_PROFILE_UNKNOWN: usage(
    'No configuration file has a profile with this name.',
    'Choose one of the profiles that the message lists, or run `jwtctl config path` to see which files are read.',
  ),
  ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS: usage(
    'A project file sets the address of a store, but a secret for that store comes from another place.',
    'Set the address in the same place as the secret. If you trust the project file, pass it with `--config`.',
  ),
  ERR_CONFIG_SECRET_IN_FLAG: usage(
    'A flag contains a password, which every account on the host can see in the process list.',
    'Remove the password from the flag, and set it in a file or a variable.',
  ),
  ERR_CONFIG_SETTING_UNKNOWN: usage(
    'A configuration file contains a setting that does not exist.',
    'Correct the name. `jwtctl config show` lists all settings.',
  ),
  ERR_CONFIG_SYNTAX: usage(
    'The configuration file is not valid YAML or JSON.',
    'Correct the line that the message names. Quote values that begin with one of `* & ! @ % [ {`.',
  ),
  ERR_CONFIG_VALUE_INVALID: usage(
    'A setting has an invalid value.',
    'Correct the value as the message says. `jwtctl config show` lists each value and where it comes from.',
  ),
  ERR_CONFIG_VARIABLE_UNKNOWN: usage(
    'The name of an environment variable begins with `JWTCTL_`, but jwtctl has no such variable.',
    'Correct the name or unset the variable. `jwtctl config show` lists all variables.',
  ),
  ERR_OPTION_INVALID: usage(
    'An option passed to `createVerifier` has an invalid value.',
    'Pass a value of the form that the message names.',
  ),
  ERR_HOOK_COMMAND_FAILED: unavailable(
    'The command in `hooks.command` failed or timed out, so its events are delivered again later.',
    'Run the command by hand to see why. If it needs more time, raise `hooks.timeout`.',
  ),
  ERR_PASSWORD_COMMAND_FAILED: unavailable(
    'The command in `mysql.passwordCommand` or `redis.passwordCommand` failed, timed out, or did not print one line.',
    'Run the command by hand to see why. If it needs more time, raise `timeout`.',
  ),
  ERR_TLS_FILE_INVALID: usage(
    'A file with a TLS certificate or private key cannot be used.',
    'Replace the file with an unencrypted PEM file, and use a certificate and a private key that match.',
  ),
};
