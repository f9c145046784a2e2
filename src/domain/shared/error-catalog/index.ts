import { CONFIG_ERRORS } from './config.js';
import type { ErrorKind } from './entry.js';
import { FILES_ERRORS } from './files.js';
import { KEYS_ERRORS } from './keys.js';
import { PROGRAM_ERRORS } from './program.js';
import { STORES_ERRORS } from './stores.js';
import { TOKENS_ERRORS } from './tokens.js';

export type { ErrorKind };

/** Every error code, declared once. `docs/errors.md` and `jwtctl help ERR_…` are made from it. */
export const ERROR_CODES = {
  ...CONFIG_ERRORS,
  ...FILES_ERRORS,
  ...KEYS_ERRORS,
  ...PROGRAM_ERRORS,
  ...STORES_ERRORS,
  ...TOKENS_ERRORS,
};

export type ErrorCode = keyof typeof ERROR_CODES;
