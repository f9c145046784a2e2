import type { ErrorEntry } from './entry.js';

export const CONFIG_ERRORS = {
  ERR_CALLBACK_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_FILE_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_FILE_MISSING: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_FILE_UNREADABLE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_FILE_UNSAFE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_INCOMPLETE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_NOT_IN_PROJECT_FILE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_PROFILE_UNKNOWN: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_PROJECT_STORE_SECRET: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_SECRET_IN_FLAG: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_SECRET_IN_PROJECT_FILE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_SYNTAX: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_UNKNOWN_KEY: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_UNKNOWN_VARIABLE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CONFIG_VALUE_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_OPTION_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_TLS_FILE_INVALID: { kind: 'usage', meaning: '', remedy: '' },
} as const satisfies Record<string, ErrorEntry>;
