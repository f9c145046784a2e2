import { ERROR_CODES, type ErrorCode, type ErrorKind } from './error-codes/index.js';

export type { ErrorCode, ErrorKind };

export interface JwtctlErrorOptions {
  /** The next step, ideally a command to run. */
  hint?: string | undefined;
  /** Facts for programs. They are printed as they are, so they must never hold a token, a private key, or a password. */
  details?: Record<string, unknown> | undefined;
  cause?: unknown;
  /** Default: the kind that the code is declared with. */
  kind?: ErrorKind | undefined;
}

/**
 * The only error that jwtctl throws on purpose.
 *
 * `code` is stable and safe to match on. `message` says what happened to which thing; its wording may change.
 */
export class JwtctlError extends Error {
  override readonly name = 'JwtctlError';
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: JwtctlErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = options.kind ?? ERROR_CODES[code].kind;
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

/** What failed, for a report that goes on: of an error that is not ours only its name, for its wording may quote anything. */
export function failureText(error: unknown): string {
  if (error instanceof JwtctlError) return error.message;
  return `a bug in jwtctl (${error instanceof Error ? error.name : typeof error})`;
}

/** A defect: `value` has a shape that the types rule out. Closes a `switch` over a union, so that a new member breaks the build. */
export function unreachable(value: never): never {
  throw new JwtctlError('ERR_BUG', `A value outside its type: ${JSON.stringify(value)}.`);
}
