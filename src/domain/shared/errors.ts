import { ERROR_CODES, type ErrorCode, type ErrorKind } from './error-catalog/index.js';

export type { ErrorCode, ErrorKind };

export interface JwtctlErrorOptions {
  /** The next step, ideally a command to run. */
  hint?: string | undefined;
  /** Printed, so they must never contain a token, a private key, or a password. */
  details?: Record<string, unknown> | undefined;
  cause?: unknown;
  /** Default: the declared kind of the code */
  kind?: ErrorKind | undefined;
}

/** The only error that jwtctl throws on purpose. `code` is stable; the wording of `message` may change. */
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

/** For a defect, gives only the error's name, because its message may contain secrets. */
export function failureText(error: unknown): string {
  if (error instanceof JwtctlError) return error.message;
  return `a bug in jwtctl (${error instanceof Error ? error.name : typeof error})`;
}

/** Closes a `switch` over a union, so that a new member breaks the build. */
export function unreachable(value: never): never {
  throw new JwtctlError('ERR_BUG', `A value outside its type: ${JSON.stringify(value)}.`);
}
