import type { ErrorEntry } from './entry.js';

export const FILES_ERRORS = {
  ERR_BACKUP_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_BACKUP_VERSION: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CSV_HEADER: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CSV_ROW: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FILE_EXISTS: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FILE_NAME_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FILE_TOO_LARGE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FILE_UNREADABLE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FILE_UNWRITABLE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_LINE_NOT_JSON: { kind: 'usage', meaning: '', remedy: '' },
  ERR_LINE_NOT_UTF8: { kind: 'usage', meaning: '', remedy: '' },
  ERR_LINE_NO_TOKEN: { kind: 'usage', meaning: '', remedy: '' },
  ERR_LINE_TOO_LONG: { kind: 'usage', meaning: '', remedy: '' },
  ERR_ROW_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_TEXT_INVALID: { kind: 'usage', meaning: '', remedy: '' },
} as const satisfies Record<string, ErrorEntry>;
