import type { ErrorEntry } from './entry.js';

export const PROGRAM_ERRORS = {
  ERR_BUG: { kind: 'bug', meaning: '', remedy: '' },
  ERR_CANNOT_LISTEN: { kind: 'usage', meaning: '', remedy: '' },
  ERR_CLIENT_UNKNOWN: { kind: 'refused', meaning: '', remedy: '' },
  ERR_CLOSED: { kind: 'state', meaning: '', remedy: '' },
  ERR_CONFIRMATION_NEEDED: { kind: 'usage', meaning: '', remedy: '' },
  ERR_DECLINED: { kind: 'interrupted', meaning: '', remedy: '' },
  ERR_DURATION_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FLAGS_CONTRADICT: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FLAG_INVALID: { kind: 'usage', meaning: '', remedy: '' },
  ERR_FLAG_REPEATED: { kind: 'usage', meaning: '', remedy: '' },
  ERR_INTERRUPTED: { kind: 'interrupted', meaning: '', remedy: '' },
  ERR_NO_ROUTE: { kind: 'not_found', meaning: '', remedy: '' },
  ERR_OUTPUT_UNWRITABLE: { kind: 'partial', meaning: '', remedy: '' },
  ERR_PORT_IN_USE: { kind: 'state', meaning: '', remedy: '' },
  ERR_TERMINAL_NEEDED: { kind: 'usage', meaning: '', remedy: '' },
  ERR_TOO_MANY_ATTEMPTS: { kind: 'refused', meaning: '', remedy: '' },
  ERR_UNREACHABLE: { kind: 'bug', meaning: '', remedy: '' },
  ERR_USAGE: { kind: 'usage', meaning: '', remedy: '' },
  ERR_VIEW_ENDLESS: { kind: 'bug', meaning: '', remedy: '' },
} as const satisfies Record<string, ErrorEntry>;
